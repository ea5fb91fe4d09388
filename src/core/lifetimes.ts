import type { Clock, Timer } from '../shared/index.js';

/** Longest delay that a timer takes; a longer one would fire at once. */
const MAX_DELAY_MS = 2 ** 31 - 1;
/** If the difference between the machine's clock and the monotonic one changes by this much, the clock was set. */
const SET_MS = 1_000;
/** Offsets remembered, so that ids started before the clock was set can still be cancelled. */
const MAX_OFFSETS = 16;
/** Expiries are rounded up to this granularity (ms), so that those in one step share a timer. */
const STEP_MS = 100;

interface Step {
  readonly ids: Set<string>;
  timer: Timer;
}

/** Calls back once for each id when it expires. One timer per id would dominate the memory of an idle participant. */
export class Lifetimes {
  /** By step number on the monotonic clock, so that setting the machine's clock back prolongs no lifetime. */
  readonly #steps = new Map<number, Step>();
  readonly #clock: Clock;
  readonly #onExpired: (id: string) => void;
  /** Offsets from epoch milliseconds to the monotonic clock, the present one last. */
  readonly #offsets: number[] = [];

  constructor(clock: Clock, onExpired: (id: string) => void) {
    this.#clock = clock;
    this.#onExpired = onExpired;
  }

  /** @param expiresAt epoch milliseconds */
  start(id: string, expiresAt: number): void {
    const number = stepOf(expiresAt + this.#offset());
    const step = this.#steps.get(number);
    if (step) step.ids.add(id);
    else this.#steps.set(number, { ids: new Set([id]), timer: this.#timer(number) });
  }

  /** @param expiresAt as it was given to {@link start} */
  cancel(id: string, expiresAt: number): void {
    for (const offset of this.#offsets) {
      const number = stepOf(expiresAt + offset);
      const step = this.#steps.get(number);
      if (!step?.ids.delete(id)) continue;
      if (step.ids.size > 0) return;
      step.timer.cancel();
      this.#steps.delete(number);
      return;
    }
  }

  stop(): void {
    for (const { timer } of this.#steps.values()) timer.cancel();
    this.#steps.clear();
  }

  #offset(): number {
    const offset = this.#clock.monotonic() - this.#clock.now();
    const known = this.#offsets.at(-1);
    if (known !== undefined && Math.abs(offset - known) < SET_MS) return known;
    this.#offsets.push(offset);
    if (this.#offsets.length > MAX_OFFSETS) this.#offsets.shift();
    return offset;
  }

  #timer(number: number): Timer {
    const delay = Math.max(0, number * STEP_MS - this.#clock.monotonic());
    return this.#clock.setTimeout(() => this.#end(number), Math.min(delay, MAX_DELAY_MS));
  }

  #end(number: number): void {
    const step = this.#steps.get(number);
    if (!step) return;
    if (number * STEP_MS > this.#clock.monotonic()) {
      step.timer = this.#timer(number);
      return;
    }
    // The step stays in the table meanwhile, so that the callback can still cancel an id of it.
    for (const id of step.ids) {
      step.ids.delete(id);
      this.#onExpired(id);
    }
    if (this.#steps.get(number) === step) this.#steps.delete(number);
  }
}

function stepOf(expiresAt: number): number {
  return Math.ceil(expiresAt / STEP_MS);
}
