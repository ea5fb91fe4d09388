import type { Clock } from '../../shared/index.js';
import type { EdgeSession } from './edge-session.js';
import type { EdgeCallStore } from './edge-store.js';

/** When edges are told again if the database is away. */
const AGAIN_MS = 1_000;

interface MovingCallsParts {
  readonly sessions: ReadonlyMap<string, EdgeSession>;
  readonly store: EdgeCallStore | undefined;
  /** Whether the calls of an edge that is gone go on at others at all. */
  readonly isWanted: boolean;
  readonly isStopped: () => boolean;
  readonly clock: Clock;
}

/** Gives the calls of edges that are gone to others. */
export class MovingCalls {
  readonly #parts: MovingCallsParts;

  constructor(parts: MovingCallsParts) {
    this.#parts = parts;
  }

  /** Whether other edges would go on with the calls of this one. */
  isPossible(gone: EdgeSession): boolean {
    return this.#takers(gone).length > 0;
  }

  /** Others go on with the calls of an edge, those with the fewest devices first. @returns how many calls */
  move(gone: EdgeSession): number {
    const { store } = this.#parts;
    const takers = this.#takers(gone);
    if (!store || takers.length === 0) return 0;
    const load = new Map(takers.map((taker) => [taker, taker.devices.size]));
    const moved = store.recordsOf(gone.edgeId);
    for (const { id, document } of moved) {
      const [taker, devices] = [...load].reduce((least, each) => (each[1] < least[1] ? each : least));
      load.set(taker, devices + 1);
      store.saveCall(id, document, taker.edgeId);
      taker.take(id, gone.giveAway(id));
    }
    this.tell();
    return moved.length;
  }

  /** Tells edges which calls of others they are to go on with, once that is on disk: no other edge may be told the same. */
  tell(): void {
    const { store, sessions, isStopped, clock } = this.#parts;
    if (!store || ![...sessions.values()].some(({ isTaking }) => isTaking)) return;
    store.flush().then(
      () => {
        if (isStopped()) return;
        for (const session of sessions.values()) session.tellCalls();
      },
      () => {
        if (!isStopped()) clock.setTimeout(() => this.tell(), AGAIN_MS);
      },
    );
  }

  #takers(gone: EdgeSession): EdgeSession[] {
    const { sessions, isWanted } = this.#parts;
    return isWanted ? [...sessions.values()].filter((session) => session !== gone && session.takesOver) : [];
  }
}
