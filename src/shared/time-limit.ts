/** Something took longer than it may. */
export class LimitPassed extends Error {
  override readonly name = 'LimitPassed';
}

/** The result of `work`, or a {@link LimitPassed} when it is not there within `limitMs`; `work` itself goes on. */
export async function withinLimit<T>(work: Promise<T>, limitMs: number, what: string): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const limit = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new LimitPassed(`${what}: nothing within ${limitMs} ms.`)), limitMs);
  });
  try {
    return await Promise.race([work, limit]);
  } finally {
    clearTimeout(timer);
  }
}
