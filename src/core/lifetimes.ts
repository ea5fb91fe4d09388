import type { Clock, Timer } from './clock.js';

/** Longest delay that a timer takes; a longer one would fire at once. */
const MAX_DELAY_MS = 2 ** 31 - 1;

/** Calls for each id once, when its time has come. */
export class Lifetimes {
  readonly #timers = new Map<string, Timer>();
  readonly #clock: Clock;
  readonly #onExpired: (id: string) => void;

  constructor(clock: Clock, onExpired: (id: string) => void) {
    this.#clock = clock;
    this.#onExpired = onExpired;
  }

  /** @param expiresAt epoch milliseconds */
  start(id: string, expiresAt: number): void {
    const delay = Math.max(0, expiresAt - this.#clock.now());
    const timer = this.#clock.setTimeout(
      () => {
        this.#timers.delete(id);
        if (delay > MAX_DELAY_MS) this.start(id, expiresAt);
        else this.#onExpired(id);
      },
      Math.min(delay, MAX_DELAY_MS),
    );
    this.#timers.set(id, timer);
  }

  cancel(id: string): void {
    this.#timers.get(id)?.cancel();
    this.#timers.delete(id);
  }

  stop(): void {
    for (const timer of this.#timers.values()) timer.cancel();
    this.#timers.clear();
  }
}
