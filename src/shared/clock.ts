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

class LimitPassed extends Error {
  override readonly name = 'LimitPassed';
}

/**
 * The result of `work`. After `limitMs` it throws, while `work` itself goes on.
 * @param late what the work is, for the message of the error; or a function that makes the error
 */
export async function withinLimit<T>(
  work: Promise<T>,
  limitMs: number,
  late: string | (() => Error),
): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const limit = new Promise<never>((_resolve, reject) => {
    const error = (): Error =>
      typeof late === 'string' ? new LimitPassed(`${late}: nothing within ${limitMs} ms.`) : late();
    timer = setTimeout(() => reject(error()), limitMs);
  });
  try {
    return await Promise.race([work, limit]);
  } finally {
    clearTimeout(timer);
  }
}

/** Waits until `work` is settled, but no longer than `limitMs`. */
export async function settledWithin(work: Promise<unknown>, limitMs: number): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const limit = new Promise((resolve) => (timer = setTimeout(resolve, limitMs)));
  try {
    await Promise.race([work, limit]);
  } finally {
    clearTimeout(timer);
  }
}
