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
