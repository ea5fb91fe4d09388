/** Time as the parts with a life see it, so that tests can turn it. */
export interface Clock {
  /** Epoch milliseconds: what the machine's clock shows, which may be set forward and back. */
  now(): number;
  /** Milliseconds since some moment, for lengths of time: nobody can set it. */
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
