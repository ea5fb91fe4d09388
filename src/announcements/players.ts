import { randomUUID } from 'node:crypto';
import type { Core, DeviceInfo } from '../core/index.js';
import type { FileDoor, FileHandle } from '../media/index.js';
import type { Clock, Log } from '../shared/index.js';
import type { HeldSound } from './sound-cache.js';

/** Why a sound is played. A participant hears one of each at a time. */
type Purpose = 'participant' | 'session' | 'waiting' | 'tone';

export interface PlayerLimits {
  /** Sounds that play at once, one for each that hears it: in all, and in one account. */
  readonly players: number;
  readonly playersPerAccount: number;
}

interface PlayOptions {
  readonly purpose: Purpose;
  readonly participantId: string;
  /** The player releases it. */
  readonly sound: HeldSound;
  /** 0: without end. */
  readonly times: number;
  readonly volume: number;
  readonly onStarted?: () => void;
  /** It ended by itself, or failed with an error. Not called when it is stopped, or when its device is gone. */
  readonly onEnd: (error?: unknown) => void;
}

/** After its last packet a sound stays in the delivery for so long: its end is still in the jitter buffer of who hears it. */
const LINGER_MS = 400;

/** A participant's device hears a sound. */
interface Player {
  readonly options: PlayOptions;
  readonly accountId: string;
  readonly handle: FileHandle;
  /** Absent until the file is open. */
  streamId?: string;
}

/** Plays sounds to devices: opens a file in the media plane for each, and puts its stream into the device's delivery. */
export class Players {
  readonly #core: Core;
  readonly #media: FileDoor;
  readonly #limits: PlayerLimits;
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #byParticipant = new Map<string, Map<Purpose, Player>>();
  readonly #byAccount = new Map<string, number>();
  #count = 0;
  #changed: (participantId: string) => void = () => undefined;
  #refused = 0;

  constructor(parts: { core: Core; media: FileDoor; limits: PlayerLimits; clock: Clock; log: Log }) {
    const { core } = parts;
    this.#core = core;
    this.#media = parts.media;
    this.#limits = parts.limits;
    this.#clock = parts.clock;
    this.#log = parts.log;
    core.on('left', ({ participant }) => this.#deviceLeft(participant.id));
  }

  /** Sounds that play now, by what for. */
  counts(): Readonly<Record<Purpose, number>> {
    const counts = { participant: 0, session: 0, waiting: 0, tone: 0 };
    for (const players of this.#byParticipant.values())
      for (const purpose of players.keys()) counts[purpose] += 1;
    return counts;
  }

  /** Has a listener told whenever a participant begins or ceases to hear a sound. */
  onChanged(listener: (participantId: string) => void): void {
    this.#changed = listener;
  }

  /** How often there were too many. */
  get refused(): number {
    return this.#refused;
  }

  plays(participantId: string, ...purposes: readonly Purpose[]): boolean {
    const players = this.#byParticipant.get(participantId);
    return purposes.some((purpose) => players?.has(purpose) ?? false);
  }

  /** Whether another sound may be played to somebody of the account; counts when not. */
  hasRoom(accountId: string): boolean {
    const { players, playersPerAccount } = this.#limits;
    const own = this.#byAccount.get(accountId) ?? 0;
    if (this.#count < players && own < playersPerAccount) return true;
    this.#refused += 1;
    return false;
  }

  /**
   * Plays a sound to a participant's device, in place of what it hears for the same purpose.
   * @returns false, and the sound is released, when it has no device or too many sounds play
   */
  play(options: PlayOptions): boolean {
    const { participantId, purpose, sound } = options;
    this.stop(participantId, purpose);
    const device = this.#core.connectedDevice(participantId);
    const accountId = this.#core.participantOf(participantId)?.accountId;
    if (!device || accountId === undefined || !this.hasRoom(accountId)) {
      sound.release();
      return false;
    }
    const player: Player = {
      options,
      accountId,
      handle: this.#open(options, accountId, device, () => player),
    };
    const players = this.#byParticipant.get(participantId) ?? new Map<Purpose, Player>();
    this.#byParticipant.set(participantId, players.set(purpose, player));
    this.#countOf(accountId, 1);
    this.#changed(participantId);
    void this.#deliver(player);
    return true;
  }

  /** @returns whether something was stopped */
  stop(participantId: string, purpose: Purpose): boolean {
    const player = this.#byParticipant.get(participantId)?.get(purpose);
    if (player) this.#end(player);
    return player !== undefined;
  }

  #open(
    { participantId, sound, times, volume }: PlayOptions,
    account: string,
    device: DeviceInfo,
    player: () => Player,
  ): FileHandle {
    return this.#media.open(
      {
        kind: 'file',
        deviceId: randomUUID(),
        listenerId: device.id,
        path: sound.path,
        rate: sound.rate,
        times,
        volume,
        labels: { account, participantId, deviceId: device.externalId },
      },
      (event) => {
        if (!this.#isLive(player())) return;
        if (event.type === 'started') player().options.onStarted?.();
        if (event.type !== 'ended') return;
        this.#clock.setTimeout(() => {
          if (this.#isLive(player())) this.#finish(player());
        }, LINGER_MS);
      },
    );
  }

  /** Puts the stream into the delivery once the file is open. */
  async #deliver(player: Player): Promise<void> {
    try {
      const { streamId } = await player.handle.opened;
      if (!this.#isLive(player)) return;
      player.streamId = streamId;
      this.#announce(player.options.participantId);
    } catch (error) {
      if (!this.#isLive(player)) return;
      this.#log.error({ err: error, ...about(player) }, 'A sound could not be played.');
      this.#finish(player, error);
    }
  }

  #isLive(player: Player): boolean {
    const { participantId, purpose } = player.options;
    return this.#byParticipant.get(participantId)?.get(purpose) === player;
  }

  #finish(player: Player, error?: unknown): void {
    this.#end(player);
    player.options.onEnd(error);
  }

  #end(player: Player): void {
    const { participantId, purpose } = player.options;
    const players = this.#byParticipant.get(participantId);
    players?.delete(purpose);
    if (players?.size === 0) this.#byParticipant.delete(participantId);
    if (player.streamId !== undefined) this.#announce(participantId);
    this.#free(player);
    this.#changed(participantId);
  }

  #deviceLeft(participantId: string): void {
    const players = this.#byParticipant.get(participantId);
    this.#byParticipant.delete(participantId);
    for (const player of players?.values() ?? []) this.#free(player);
  }

  #free(player: Player): void {
    this.#countOf(player.accountId, -1);
    player.handle
      .close()
      .catch((error: unknown) =>
        this.#log.error({ err: error, ...about(player) }, 'A sound could not be closed.'),
      )
      .finally(() => player.options.sound.release());
  }

  #announce(participantId: string): void {
    const players = this.#byParticipant.get(participantId)?.values() ?? [];
    this.#core.announcements.announce(
      participantId,
      Array.from(players).flatMap(({ streamId }) => streamId ?? []),
    );
  }

  #countOf(accountId: string, change: number): void {
    this.#count += change;
    const count = (this.#byAccount.get(accountId) ?? 0) + change;
    if (count > 0) this.#byAccount.set(accountId, count);
    else this.#byAccount.delete(accountId);
  }
}

function about({ accountId, options: { participantId, purpose } }: Player): object {
  return { account: accountId, participantId, purpose };
}
