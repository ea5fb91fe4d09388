/** Something took longer than it may. */
class LimitPassed extends Error {
  override readonly name = 'LimitPassed';
}

/**
 * The result of `work`, which itself goes on when it takes longer than `limitMs`.
 * @param late what the work is, for the message of a {@link LimitPassed}; or makes the error that is thrown instead
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

/** Waits until `work` is settled, but no longer than `limitMs`; `work` itself goes on. */
export async function settledWithin(work: Promise<unknown>, limitMs: number): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const limit = new Promise((resolve) => (timer = setTimeout(resolve, limitMs)));
  try {
    await Promise.race([work, limit]);
  } finally {
    clearTimeout(timer);
  }
}
