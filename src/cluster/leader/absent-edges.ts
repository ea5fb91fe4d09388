import type { Clock, Log, Timer } from '../../shared/index.js';
import type { Address } from '../messages.js';
import type { EdgeSession } from './edge-session.js';

/** When it is found out whether an edge that is away is dead, and again. A process that goes on is back by then. */
const PROBE_MS = 500;

interface AbsenceParts {
  /** After how long an edge that is away is given up, in ms. */
  readonly givenUpMs: number;
  /** Whether nobody listens at any of these addresses, though their machines answer. Absent: that cannot be known. */
  readonly isDead: ((addresses: readonly Address[]) => Promise<boolean>) | undefined;
  /** Whether anything is gained when an edge that is dead is given up before its time. */
  readonly isWorthwhile: (session: EdgeSession) => boolean;
  readonly giveUp: (session: EdgeSession) => void;
  readonly clock: Clock;
  readonly log: Log;
}

/** Since when edges are away, and what is due for each of them: it is given up, forgotten, or not waited for any more. */
export class AbsentEdges {
  readonly #parts: AbsenceParts;
  readonly #since = new Map<string, number>();
  readonly #due = new Map<string, Timer>();
  #isStopped = false;

  constructor(parts: AbsenceParts) {
    this.#parts = parts;
  }

  /** In epoch milliseconds; undefined: it is here. */
  since(edgeId: string): number | undefined {
    return this.#since.get(edgeId);
  }

  /** An edge is not connected any more, or not yet: it is given up after a while, at once if its processes are dead. */
  left(session: EdgeSession): void {
    if (this.#isStopped) return;
    this.#since.set(session.edgeId, this.#parts.clock.now());
    this.dueIn(session.edgeId, this.#parts.givenUpMs, () => this.#parts.giveUp(session));
    this.#probeSoon(session);
  }

  /** An edge is here, or known no more: nothing is due for it. */
  forget(edgeId: string): void {
    this.#since.delete(edgeId);
    this.nothingDue(edgeId);
  }

  /** Something is due for an edge, in place of what was. */
  dueIn(edgeId: string, ms: number, act: () => void): void {
    this.nothingDue(edgeId);
    this.#due.set(edgeId, this.#parts.clock.setTimeout(act, ms));
  }

  nothingDue(edgeId: string): void {
    this.#due.get(edgeId)?.cancel();
    this.#due.delete(edgeId);
  }

  stop(): void {
    this.#isStopped = true;
    for (const timer of this.#due.values()) timer.cancel();
    this.#due.clear();
  }

  #probeSoon(session: EdgeSession): void {
    const { isDead, isWorthwhile, giveUp, clock, log } = this.#parts;
    if (!isDead) return;
    const isAway = (): boolean => !this.#isStopped && !session.isConnected && !session.isLost;
    clock.setTimeout(() => {
      if (!isAway()) return;
      const { edgeId, addresses } = session;
      isDead(addresses).then(
        (dead) => {
          if (!isAway()) return;
          if (dead && isWorthwhile(session)) giveUp(session);
          else this.#probeSoon(session);
        },
        (error: unknown) => {
          log.error({ err: error, edge: edgeId }, 'It cannot be found out whether an edge is dead.');
        },
      );
    }, PROBE_MS);
  }
}
