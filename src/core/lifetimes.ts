import type { Clock, Timer } from './clock.js';

/** Longest delay that a timer takes; a longer one would fire at once. */
const MAX_DELAY_MS = 2 ** 31 - 1;
/** What ends within the same time of this many ms ends together: by at most so much too late. */
const STEP_MS = 100;

interface Step {
  readonly ids: Set<string>;
  timer: Timer;
}

/** Calls for each id once, when its time has come. A timer each would be most of what an idle participant holds. */
export class Lifetimes {
  /** By the number of the step. */
  readonly #steps = new Map<number, Step>();
  readonly #clock: Clock;
  readonly #onExpired: (id: string) => void;

  constructor(clock: Clock, onExpired: (id: string) => void) {
    this.#clock = clock;
    this.#onExpired = onExpired;
  }

  /** @param expiresAt epoch milliseconds */
  start(id: string, expiresAt: number): void {
    const number = stepOf(expiresAt);
    const step = this.#steps.get(number);
    if (step) step.ids.add(id);
    else this.#steps.set(number, { ids: new Set([id]), timer: this.#timer(number) });
  }

  /** @param expiresAt as it was given to {@link start} */
  cancel(id: string, expiresAt: number): void {
    const step = this.#steps.get(stepOf(expiresAt));
    if (!step?.ids.delete(id) || step.ids.size > 0) return;
    step.timer.cancel();
    this.#steps.delete(stepOf(expiresAt));
  }

  stop(): void {
    for (const { timer } of this.#steps.values()) timer.cancel();
    this.#steps.clear();
  }

  #timer(number: number): Timer {
    const delay = Math.max(0, number * STEP_MS - this.#clock.now());
    return this.#clock.setTimeout(() => this.#end(number), Math.min(delay, MAX_DELAY_MS));
  }

  #end(number: number): void {
    const step = this.#steps.get(number);
    if (!step) return;
    if (number * STEP_MS > this.#clock.now()) {
      step.timer = this.#timer(number);
      return;
    }
    // It stays in its place meanwhile: one that ends may cancel the next.
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
