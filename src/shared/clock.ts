/** Time and timers, so that tests can use a clock of their own. */
export interface Clock {
  /** Epoch milliseconds by the machine's clock, which may be set forward and back. */
  now(): number;
  /** Milliseconds since an arbitrary start, for measuring time: it is never set. */
  monotonic(): number;
  /** Calls back once after `ms` (at most 2^31-1) unless the timer is cancelled. */
  setTimeout(callback: () => void, ms: number): Timer;
}

export interface Timer {
  cancel(): void;
}

/** The machine's clock. Its timers keep no process alive. */
export const systemClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  setTimeout(callback, ms) {
    const timeout = setTimeout(callback, ms);
    timeout.unref();
    return { cancel: () => clearTimeout(timeout) };
  },
};
