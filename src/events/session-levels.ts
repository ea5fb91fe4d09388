import type { Core, CoreEvents } from '../core/index.js';
import type { Clock, Timer } from '../shared/index.js';
import type { AccountEvent } from './feed.js';

/** Shortest time between two events of a session. */
const INTERVAL_MS = 200;
/** The levels of a session's devices come one after the other, and are told together. */
const GATHER_MS = 25;
/** A level counts until the next one of its device, which may come late. */
const LASTS_MS = 2 * INTERVAL_MS + 50;
/** Quieter streams count as silent, in dB relative to full scale. */
const SILENT_DB = -80;

interface Level {
  readonly participantId: string;
  readonly levelDb: number;
  /** When it was told. */
  readonly at: number;
}

type WatchedCore = Pick<Core, 'on' | 'watchLevels' | 'announcements'>;

/** A session that somebody watches. */
interface Watched {
  readonly accountId: string;
  readonly tag: string | undefined;
  readonly endWatch: () => void;
  readers: number;
  /** By the ids of streams. */
  readonly levels: Map<string, Level>;
  timer: Timer | undefined;
  /** When that is. */
  dueAt: number;
  toldAt: number;
  /** The last event had levels. */
  wasHeard: boolean;
}

/** How loud the streams of sessions are, told at most five times a second for each session that is watched. */
export class SessionLevels {
  readonly #core: WatchedCore;
  readonly #clock: Clock;
  readonly #tell: (accountId: string, event: AccountEvent) => void;
  readonly #watched = new Map<string, Watched>();

  constructor(core: WatchedCore, clock: Clock, tell: (accountId: string, event: AccountEvent) => void) {
    this.#core = core;
    this.#clock = clock;
    this.#tell = tell;
    core.on('levels', (event) => this.#take(event));
  }

  /** Of a session that the account does not have nothing is told. @returns what ends it */
  watch(accountId: string, sessionId: string): () => void {
    const session = this.#core.announcements.session(sessionId);
    if (session?.accountId !== accountId) return () => undefined;
    const watched = this.#watched.get(sessionId) ?? this.#begin(accountId, sessionId, session.tag);
    watched.readers += 1;
    let hasEnded = false;
    return () => {
      if (hasEnded) return;
      hasEnded = true;
      watched.readers -= 1;
      if (watched.readers > 0) return;
      this.#watched.delete(sessionId);
      watched.timer?.cancel();
      watched.endWatch();
    };
  }

  #begin(accountId: string, sessionId: string, tag: string | undefined): Watched {
    const watched: Watched = {
      accountId,
      tag,
      endWatch: this.#core.watchLevels(sessionId),
      readers: 0,
      levels: new Map(),
      timer: undefined,
      dueAt: Number.POSITIVE_INFINITY,
      toldAt: Number.NEGATIVE_INFINITY,
      wasHeard: false,
    };
    this.#watched.set(sessionId, watched);
    return watched;
  }

  #take({ participant, levels }: CoreEvents['levels'][0]): void {
    const { sessionId, id: participantId } = participant;
    const watched = sessionId === undefined ? undefined : this.#watched.get(sessionId);
    if (!watched || sessionId === undefined) return;
    for (const [streamId, level] of watched.levels)
      if (level.participantId === participantId) watched.levels.delete(streamId);
    const at = this.#clock.monotonic();
    for (const { streamId, levelDb } of levels)
      if (levelDb > SILENT_DB)
        watched.levels.set(streamId, { participantId, levelDb: Math.round(levelDb), at });
    this.#sendAt(Math.max(at + GATHER_MS, watched.toldAt + INTERVAL_MS), sessionId, watched);
  }

  #sendAt(dueAt: number, sessionId: string, watched: Watched): void {
    if (watched.dueAt <= dueAt) return;
    watched.timer?.cancel();
    watched.dueAt = dueAt;
    const wait = dueAt - this.#clock.monotonic();
    watched.timer = this.#clock.setTimeout(() => this.#send(sessionId, watched), wait);
  }

  #send(sessionId: string, watched: Watched): void {
    watched.dueAt = Number.POSITIVE_INFINITY;
    const now = this.#clock.monotonic();
    for (const [streamId, { at }] of watched.levels) if (now - at > LASTS_MS) watched.levels.delete(streamId);
    if (watched.levels.size === 0 && !watched.wasHeard) return;
    watched.wasHeard = watched.levels.size > 0;
    watched.toldAt = now;
    // Devices that leave say nothing any more.
    if (watched.wasHeard) this.#sendAt(now + LASTS_MS, sessionId, watched);
    const levels = Array.from(watched.levels, ([streamId, { participantId, levelDb }]) => ({
      streamId,
      participantId,
      levelDb,
    }));
    const tags = watched.tag === undefined ? [] : [watched.tag];
    const event = { type: 'levels', at: this.#clock.now(), sessionId, tags, data: { sessionId, levels } };
    this.#tell(watched.accountId, event);
  }
}
