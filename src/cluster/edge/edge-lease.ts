import type { Clock, Timer } from '../../shared/index.js';

/** How often the edge asks for its lease. */
const ASK_MS = 1_000;

interface EdgeLeaseParts {
  /**
   * How long it is held after it was asked for, in ms. Infinity: for ever, since nobody takes its calls over; the leader is asked
   * all the same, since it counts on those who do. Undefined: for ever, and nobody is asked.
   */
  readonly ms: number | undefined;
  /** Asks the leader, if there is one. @param stamp the last that it sent on this connection */
  readonly ask: (at: number, stamp: number | undefined) => void;
  readonly clock: Clock;
}

/**
 * For how long an edge has its calls to itself. The leader gives it up, and its calls to others, some time after it has
 * granted the lease for the last time. It runs from when the edge asked, so that no delay on the way makes it longer.
 */
export class EdgeLease {
  readonly #parts: EdgeLeaseParts;
  readonly #ms: number;
  #until: number;
  #timer: Timer | undefined;
  #stamp: number | undefined;
  #waiting: (() => void)[] = [];
  readonly #listeners: ((ms: number) => void)[] = [];

  constructor(parts: EdgeLeaseParts) {
    this.#parts = parts;
    this.#ms = parts.ms ?? Infinity;
    this.#until = this.#ms === Infinity ? Infinity : 0;
  }

  /** Whether no other edge can have the calls of this one. */
  get isHeld(): boolean {
    return this.#parts.clock.monotonic() < this.#until;
  }

  /** Resolves when it is held. */
  async whenHeld(): Promise<void> {
    if (!this.isHeld) await new Promise<void>((resolve) => this.#waiting.push(resolve));
  }

  /** Calls back with the ms that are left whenever the lease is granted; not when it runs out. */
  onGranted(listener: (ms: number) => void): void {
    this.#listeners.push(listener);
  }

  /** There is a leader: it is asked, now and again. */
  connected(): void {
    this.#timer?.cancel();
    this.#stamp = undefined;
    this.#ask();
  }

  disconnected(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
  }

  /** @param at when it was asked for; undefined: it is not granted now */
  answered(at: number | undefined, stamp: number): void {
    const { clock } = this.#parts;
    this.#stamp = stamp;
    if (this.#ms === Infinity || at === undefined) return;
    this.#until = at + this.#ms;
    if (!this.isHeld) return;
    for (const listener of this.#listeners) listener(this.#until - clock.monotonic());
    for (const tell of this.#waiting.splice(0)) tell();
  }

  #ask(): void {
    const { ms, ask, clock } = this.#parts;
    if (ms === undefined) return;
    ask(clock.monotonic(), this.#stamp);
    this.#timer = clock.setTimeout(() => this.#ask(), ASK_MS);
  }
}
