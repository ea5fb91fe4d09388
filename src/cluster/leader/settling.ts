import type { Clock, Timer } from '../../shared/index.js';

/** How long a new leader waits for the edges of the one before, until it lets deliveries go and takes new devices. */
const SETTLE_MS = 3_000;

interface SettlingParts {
  readonly clock: Clock;
  /** Whether an edge has calls of others that it has neither connected nor given up yet. */
  readonly isTaking: () => boolean;
  /** Edges are told what their devices are to receive, but for those that are still awaited. */
  readonly settled: (awaited: readonly string[]) => void;
  /** An edge is not awaited any more, though all others were told without it. */
  readonly late: (edgeId: string) => void;
}

/**
 * What a new leader waits for: it knows nothing of the devices of the leader before, until each edge has stated what it has.
 */
export class Settling {
  /**
   * Resolves when all devices of the leader before are connected again, or lost: every edge has stated what it has, or is
   * missing for too long.
   */
  readonly accounted: Promise<void>;
  readonly #parts: SettlingParts;
  /** Edges of the leader before that have not stated all that they have. */
  readonly #awaited = new Set<string>();
  readonly #timer: Timer;
  #account!: () => void;
  #isSettled = false;
  #isAccounted = false;

  constructor(parts: SettlingParts) {
    this.#parts = parts;
    this.accounted = new Promise((resolve) => (this.#account = resolve));
    this.#timer = parts.clock.setTimeout(() => this.#settle(), SETTLE_MS);
  }

  /** Whether deliveries go out, and new devices are taken. */
  get isSettled(): boolean {
    return this.#isSettled;
  }

  /** Whether {@link accounted} has resolved. */
  get isAccounted(): boolean {
    return this.#isAccounted;
  }

  isAwaited(edgeId: string): boolean {
    return this.#awaited.has(edgeId);
  }

  awaits(edgeId: string): void {
    this.#awaited.add(edgeId);
  }

  /** An edge has stated all that it has, or is given up. */
  noLongerAwaits(edgeId: string): void {
    const wasAwaited = this.#awaited.delete(edgeId);
    const isLate = this.#isSettled;
    this.check();
    if (isLate && wasAwaited) this.#parts.late(edgeId);
  }

  /** An edge may be done with the calls that were given to it. */
  check(): void {
    if (this.#awaited.size > 0) return;
    // Before deliveries go out: nothing is missing in them any more.
    this.#isAccounted ||= !this.#parts.isTaking();
    this.#settle();
    if (this.#isAccounted) this.#account();
  }

  stop(): void {
    this.#timer.cancel();
  }

  #settle(): void {
    if (this.#isSettled) return;
    this.#timer.cancel();
    this.#isSettled = true;
    this.#parts.settled([...this.#awaited]);
  }
}
