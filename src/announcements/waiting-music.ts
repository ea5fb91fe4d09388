import type { Core, WaitingReason } from '../core/index.js';
import { BoundedMap, type Clock, type Log } from '../shared/index.js';
import type { Players } from './players.js';
import { type Sounds, soundSource, type SoundSource } from './sounds.js';

interface WaitingOptions {
  /** Absent: none, except in sessions that say so. */
  readonly source?: SoundSource | undefined;
  readonly when: readonly WaitingReason[];
}

/** The kind of device that hears it: pages and programs make their own. */
const KIND = 'phone';
/** A sound that could not be had is not tried again for so long. */
const PAUSE_MS = 60_000;

/**
 * What phones hear while they hear nobody. Whatever may change that is only noted, and looked at when the present work is
 * done: one move changes several things at once.
 */
export class WaitingMusic {
  readonly #core: Core;
  readonly #sounds: Sounds;
  readonly #players: Players;
  readonly #options: WaitingOptions;
  readonly #clock: Clock;
  readonly #log: Log;
  /** Which sound each participant hears now. */
  readonly #playing = new Map<string, string>();
  readonly #failedAt = new BoundedMap<string, number>(1_000);
  readonly #due = new Set<string>();
  #isStarted = false;

  constructor(parts: {
    core: Core;
    sounds: Sounds;
    players: Players;
    options: WaitingOptions;
    clock: Clock;
    log: Log;
  }) {
    this.#core = parts.core;
    this.#sounds = parts.sounds;
    this.#players = parts.players;
    this.#options = parts.options;
    this.#clock = parts.clock;
    this.#log = parts.log;
    const { core, players } = parts;
    for (const event of ['connected', 'carriedOver', 'moved'] as const)
      core.on(event, ({ participant }) => this.#look(participant.id));
    core.on('audienceChanged', (sessionId) => {
      if (!this.#isFor(sessionId)) return;
      for (const id of core.announcements.connectedIn(sessionId)) this.#look(id);
    });
    core.on('left', ({ participant }) => this.#playing.delete(participant.id));
    players.onChanged((participantId) => this.#look(participantId));
  }

  /** Begins to play: the devices of an earlier gateway are connected again. */
  start(): void {
    this.#isStarted = true;
    for (const id of this.#core.announcements.connected()) this.#look(id);
  }

  #isFor(sessionId: string): boolean {
    const own = this.#core.announcements.session(sessionId)?.waitingMusic;
    return this.#options.source !== undefined || (own !== undefined && own.when.length > 0);
  }

  #look(participantId: string): void {
    if (!this.#isStarted) return;
    if (this.#due.size === 0) {
      queueMicrotask(() => {
        const due = [...this.#due];
        this.#due.clear();
        for (const id of due) this.#update(id);
      });
    }
    this.#due.add(participantId);
  }

  #update(participantId: string): void {
    const source = this.#wanted(participantId);
    const wanted = source && JSON.stringify(source);
    if (this.#playing.get(participantId) === wanted) return;
    if (this.#playing.delete(participantId)) this.#players.stop(participantId, 'waiting');
    if (!source || wanted === undefined || this.#failedLately(wanted)) return;
    const sound = this.#sounds.known(source);
    if (!sound) {
      void this.#load(participantId, source, wanted);
      return;
    }
    this.#playing.set(participantId, wanted);
    const plays = this.#players.play({
      purpose: 'waiting',
      participantId,
      sound,
      times: 0,
      volume: 1,
      onEnd: () => {
        this.#playing.delete(participantId);
        this.#failedAt.set(wanted, this.#clock.monotonic());
      },
    });
    if (!plays) this.#playing.delete(participantId);
  }

  /** What a participant is to hear now. */
  #wanted(participantId: string): SoundSource | undefined {
    const participant = this.#core.participantOf(participantId);
    if (!participant || this.#core.connectedDevice(participantId)?.kind !== KIND) return undefined;
    // What an application plays takes its place.
    if (this.#players.plays(participantId, 'participant', 'session')) return undefined;
    const reason = this.#core.announcements.waitingReason(participantId);
    const session =
      participant.sessionId === undefined
        ? undefined
        : this.#core.announcements.session(participant.sessionId);
    const own = session?.waitingMusic;
    if (!reason || !(own ?? this.#options).when.includes(reason)) return undefined;
    if (!own) return this.#options.source;
    if (own.mediaUrl !== undefined) return soundSource(participant.accountId, own.mediaUrl);
    return this.#options.source ?? { kind: 'tone', name: 'music' };
  }

  #failedLately(key: string): boolean {
    return this.#clock.monotonic() - (this.#failedAt.get(key) ?? Number.NEGATIVE_INFINITY) < PAUSE_MS;
  }

  async #load(participantId: string, source: SoundSource, key: string): Promise<void> {
    try {
      this.#sounds.admit(source);
      const sound = await this.#sounds.load(source);
      this.#update(participantId);
      sound.release();
    } catch (error) {
      this.#failedAt.set(key, this.#clock.monotonic());
      this.#log.warn({ err: error, participantId, from: source.kind }, 'The waiting music cannot be played.');
    }
  }
}
