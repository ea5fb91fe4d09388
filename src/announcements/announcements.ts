import { randomUUID } from 'node:crypto';
import type { Readable } from 'node:stream';
import { type AnnouncementReport, type Core, PatchbayError } from '../core/index.js';
import { BoundedMap, type Clock, type Log, type Timer } from '../shared/index.js';
import { SoundError } from './decoder/index.js';
import type { Players } from './players.js';
import type { HeldSound } from './sound-cache.js';
import { soundSource, type Sounds, type SoundSource } from './sounds.js';
import type { Upload } from './uploads.js';

/** Who is to hear an announcement: one participant, or everybody in a session. */
type Audience = { readonly participantId: string } | { readonly sessionId: string };

/** What an application wants to be played. */
interface AnnouncementRequest {
  readonly mediaUrl: string;
  /** Without end; default: once. */
  readonly loop?: boolean | undefined;
  /** Factor of the samples; default 1. */
  readonly volume?: number | undefined;
}

/** An announcement as REST shows it. */
interface AnnouncementState {
  readonly mediaState: 'PLAYING' | 'STOPPED';
  /** Absent when nothing has been played yet. */
  readonly announcementId?: string;
  readonly state?: 'LOADING' | 'PLAYING' | 'ENDED' | 'STOPPED' | 'FAILED';
  /** Of one that failed, in words. */
  readonly cause?: string | undefined;
  readonly mediaUrl?: string;
  readonly loop?: boolean;
  readonly volume?: number;
  /** Of a session: the participants that hear it now. */
  readonly participantIds?: readonly string[];
}

/** An announcement from the request to its end. */
interface Announcement {
  readonly id: string;
  readonly accountId: string;
  readonly audience: Audience;
  readonly source: SoundSource;
  readonly request: { readonly mediaUrl: string; readonly loop: boolean; readonly volume: number };
  /** Those that hear it now. */
  readonly receivers: Set<string>;
  /** Absent while it is fetched. */
  sound?: HeldSound;
  /** Of a session: nobody who enters now hears it any more. */
  isOver: boolean;
  over?: Timer;
}

/** The last states of audiences for which nothing plays. */
const MAX_PAST = 10_000;

const NOT_NOW = 'The gateway cannot play it now.';

const keyOf = (audience: Audience): string =>
  'sessionId' in audience ? `session ${audience.sessionId}` : `participant ${audience.participantId}`;

/** What applications have the gateway play, and the files that they upload for it. */
export class Announcements {
  readonly #core: Core;
  readonly #sounds: Sounds;
  readonly #players: Players;
  readonly #clock: Clock;
  readonly #log: Log;
  /** Most announcements of one account, so that empty sessions do not keep ever more. */
  readonly #maxPerAccount: number;
  readonly #present = new Map<string, Announcement>();
  readonly #past = new BoundedMap<string, AnnouncementState>(MAX_PAST);
  /** The announcement of a session that each participant hears. */
  readonly #inSession = new Map<string, Announcement>();

  constructor(parts: {
    core: Core;
    sounds: Sounds;
    players: Players;
    clock: Clock;
    log: Log;
    maxPerAccount: number;
  }) {
    this.#core = parts.core;
    this.#sounds = parts.sounds;
    this.#players = parts.players;
    this.#clock = parts.clock;
    this.#log = parts.log;
    this.#maxPerAccount = parts.maxPerAccount;
    const { core } = parts;
    core.on('connected', ({ participant }) => this.#entered(participant.id, participant.sessionId));
    core.on('moved', ({ participant }) => this.#moved(participant.id, participant.sessionId));
    core.on('left', ({ participant }) => this.#deviceLeft(participant.id));
    core.on('sessionChanged', ({ change, session }) => {
      if (change === 'deleted') this.#stopPresent({ sessionId: session.id });
    });
  }

  /** @throws PatchbayError BAD_REQUEST, MEDIA_NOT_FOUND, TOO_MANY_REQUESTS */
  check(accountId: string, mediaUrl: string): void {
    this.#sounds.admit(soundSource(accountId, mediaUrl));
  }

  /**
   * Plays a sound, in place of what plays for the same audience, from its beginning.
   * @throws PatchbayError DEVICE_NOT_FOUND, BAD_REQUEST, MEDIA_NOT_FOUND, TOO_MANY_REQUESTS, and when there is no such
   *   audience
   */
  play(accountId: string, audience: Audience, request: AnnouncementRequest): AnnouncementState {
    this.#checkAudience(accountId, audience);
    if ('participantId' in audience && !this.#core.connectedDevice(audience.participantId)) {
      throw new PatchbayError('PATCHBAY_DEVICE_NOT_FOUND', 'The participant has no device connected.');
    }
    const source = soundSource(accountId, request.mediaUrl);
    this.#sounds.admit(source);
    if (this.#present.has(keyOf(audience))) this.#stopPresent(audience);
    else this.#admit(accountId);
    const { mediaUrl, loop = false, volume = 1 } = request;
    const announcement: Announcement = {
      id: randomUUID(),
      accountId,
      audience,
      source,
      request: { mediaUrl, loop, volume },
      receivers: new Set(),
      isOver: false,
    };
    this.#present.set(keyOf(audience), announcement);
    const sound = this.#sounds.known(source);
    if (sound) this.#begin(announcement, sound);
    else void this.#load(announcement);
    this.#log.info(this.#about(announcement), 'An announcement is requested.');
    return this.state(accountId, audience);
  }

  /** @throws PatchbayError when there is no such audience */
  stop(accountId: string, audience: Audience): AnnouncementState {
    this.#checkAudience(accountId, audience);
    this.#stopPresent(audience);
    return this.state(accountId, audience);
  }

  /** What plays, or played last. @throws PatchbayError when there is no such audience */
  state(accountId: string, audience: Audience): AnnouncementState {
    this.#checkAudience(accountId, audience);
    const present = this.#present.get(keyOf(audience));
    if (present) return shown(present, present.sound ? 'PLAYING' : 'LOADING');
    return this.#past.get(keyOf(audience)) ?? { mediaState: 'STOPPED' };
  }

  uploads(accountId: string): readonly Upload[] {
    return this.#sounds.list(accountId);
  }

  /** @throws PatchbayError BAD_REQUEST, MEDIA_NOT_FOUND */
  readUpload(accountId: string, name: string): { readonly upload: Upload; readonly body: Readable } {
    return { upload: this.#sounds.find(accountId, name), body: this.#sounds.read(accountId, name) };
  }

  /** @throws PatchbayError by rejection: BAD_REQUEST, BAD_MEDIA, PAYLOAD_TOO_LARGE, TOO_MANY_REQUESTS */
  upload(accountId: string, name: string, body: Readable): Promise<Upload> {
    return this.#sounds.upload(accountId, name, body);
  }

  /** @throws PatchbayError by rejection: BAD_REQUEST, MEDIA_NOT_FOUND */
  deleteUpload(accountId: string, name: string): Promise<void> {
    return this.#sounds.deleteUpload(accountId, name);
  }

  #checkAudience(accountId: string, audience: Audience): void {
    if ('sessionId' in audience) this.#core.session(accountId, audience.sessionId);
    else this.#core.participant(accountId, audience.participantId);
  }

  #admit(accountId: string): void {
    const own = Array.from(this.#present.values()).filter((one) => one.accountId === accountId).length;
    if (this.#players.hasRoom(accountId) && own < this.#maxPerAccount) return;
    throw new PatchbayError('PATCHBAY_TOO_MANY_REQUESTS', 'Too many announcements are being played.');
  }

  async #load(announcement: Announcement): Promise<void> {
    try {
      const sound = await this.#sounds.load(announcement.source);
      if (this.#isPresent(announcement)) this.#begin(announcement, sound);
      else sound.release();
    } catch (error) {
      if (!this.#isPresent(announcement)) return;
      // Others are the gateway's own affair, and may name its files.
      const isTheirs = error instanceof SoundError || error instanceof PatchbayError;
      const cause = isTheirs ? error.message : NOT_NOW;
      this.#log.warn({ err: error, ...this.#about(announcement) }, 'An announcement cannot be played.');
      for (const id of this.#audienceNow(announcement)) this.#report(announcement, id, 'FAILED', cause);
      this.#settle(announcement, 'FAILED', cause);
    }
  }

  #begin(announcement: Announcement, sound: HeldSound): void {
    announcement.sound = sound;
    if ('sessionId' in announcement.audience && !announcement.request.loop) {
      const durationMs = Math.ceil((sound.samples / sound.rate) * 1_000);
      announcement.over = this.#clock.setTimeout(() => {
        announcement.isOver = true;
        this.#settleIfDone(announcement);
      }, durationMs);
    }
    for (const id of this.#audienceNow(announcement)) this.#playTo(announcement, id);
    this.#settleIfDone(announcement);
  }

  #audienceNow({ audience }: Announcement): readonly string[] {
    return 'sessionId' in audience
      ? this.#core.announcements.connectedIn(audience.sessionId)
      : [audience.participantId];
  }

  #playTo(announcement: Announcement, participantId: string): void {
    const { audience, request, receivers } = announcement;
    const isForSession = 'sessionId' in audience;
    receivers.add(participantId);
    if (isForSession) this.#inSession.set(participantId, announcement);
    const plays = this.#players.play({
      purpose: isForSession ? 'session' : 'participant',
      participantId,
      sound: announcement.sound!.share(),
      times: request.loop ? 0 : 1,
      volume: request.volume,
      onStarted: () => this.#report(announcement, participantId, 'STARTED'),
      onEnd: (error) => {
        const state = error === undefined ? 'ENDED' : 'FAILED';
        this.#receiverDone(announcement, participantId, state);
        this.#settleIfDone(announcement, state);
      },
    });
    if (!plays) this.#receiverDone(announcement, participantId, 'FAILED');
  }

  /** A participant does not hear it any more. */
  #receiverDone(
    announcement: Announcement,
    participantId: string,
    state: 'ENDED' | 'STOPPED' | 'FAILED',
  ): void {
    announcement.receivers.delete(participantId);
    if (this.#inSession.get(participantId) === announcement) this.#inSession.delete(participantId);
    this.#report(announcement, participantId, state, state === 'FAILED' ? NOT_NOW : undefined);
  }

  #settleIfDone(announcement: Announcement, state: 'ENDED' | 'FAILED' = 'ENDED'): void {
    if (!this.#isPresent(announcement) || announcement.receivers.size > 0) return;
    if ('sessionId' in announcement.audience && !announcement.isOver) return;
    this.#settle(announcement, state);
  }

  #stopPresent(audience: Audience): void {
    const present = this.#present.get(keyOf(audience));
    if (!present) return;
    const receivers = present.sound ? [...present.receivers] : this.#audienceNow(present);
    for (const id of receivers) {
      this.#players.stop(id, 'sessionId' in audience ? 'session' : 'participant');
      this.#receiverDone(present, id, 'STOPPED');
    }
    this.#settle(present, 'STOPPED');
  }

  #settle(announcement: Announcement, state: 'ENDED' | 'STOPPED' | 'FAILED', cause?: string): void {
    const key = keyOf(announcement.audience);
    announcement.over?.cancel();
    announcement.sound?.release();
    this.#present.delete(key);
    this.#past.set(key, shown(announcement, state, cause));
    this.#log.info({ ...this.#about(announcement), state }, 'An announcement is over.');
  }

  #isPresent(announcement: Announcement): boolean {
    return this.#present.get(keyOf(announcement.audience)) === announcement;
  }

  #entered(participantId: string, sessionId: string | undefined): void {
    if (sessionId === undefined) return;
    const announcement = this.#present.get(keyOf({ sessionId }));
    if (announcement?.sound && !announcement.isOver) this.#playTo(announcement, participantId);
  }

  #moved(participantId: string, sessionId: string | undefined): void {
    const heard = this.#inSession.get(participantId);
    if (heard && 'sessionId' in heard.audience && heard.audience.sessionId !== sessionId) {
      this.#players.stop(participantId, 'session');
      this.#receiverDone(heard, participantId, 'STOPPED');
      this.#settleIfDone(heard);
    }
    if (!this.#inSession.has(participantId)) this.#entered(participantId, sessionId);
  }

  #deviceLeft(participantId: string): void {
    const own = this.#present.get(keyOf({ participantId }));
    if (own) this.#settle(own, 'STOPPED');
    const heard = this.#inSession.get(participantId);
    if (!heard) return;
    this.#inSession.delete(participantId);
    heard.receivers.delete(participantId);
    this.#settleIfDone(heard);
  }

  #report(
    { id }: Announcement,
    participantId: string,
    state: AnnouncementReport['state'],
    cause?: string,
  ): void {
    this.#core.announcements.report(participantId, {
      announcementId: id,
      state,
      ...(cause === undefined ? {} : { cause }),
    });
  }

  /** For the log. Only the URL's origin, since path and query may hold secrets. */
  #about({ id, accountId, audience, source }: Announcement): object {
    const from = source.kind === 'url' ? new URL(source.url).origin : source.kind;
    return { announcement: id, account: accountId, ...audience, from };
  }
}

function shown(
  { id, audience, request, receivers }: Announcement,
  state: NonNullable<AnnouncementState['state']>,
  cause?: string,
): AnnouncementState {
  return {
    mediaState: state === 'PLAYING' || state === 'LOADING' ? 'PLAYING' : 'STOPPED',
    announcementId: id,
    state,
    ...(cause === undefined ? {} : { cause }),
    ...request,
    ...('sessionId' in audience ? { participantIds: [...receivers] } : {}),
  };
}
