/** Thrown by {@link until} when the limit has passed; says what was seen last. */
class LimitPassed extends Error {
  override readonly name = 'LimitPassed';
}

/**
 * Calls `look` every `everyMs` until its result is truthy, and returns that. For states without an event, such as a
 * spectrum. `seen` describes the state on failure. By default what takes long is looked at less and less often, since
 * each look at a page costs processor time that others need.
 */
export async function until<T>(
  what: string,
  look: () => Promise<T | undefined | false> | T | undefined | false,
  options: { withinMs: number; everyMs?: number; seen?: () => Promise<unknown> },
): Promise<T> {
  const startedAt = performance.now();
  const limit = startedAt + options.withinMs;
  for (;;) {
    const found = await look();
    if (found !== undefined && found !== false) return found;
    if (performance.now() > limit) break;
    const usualMs = Math.min(50 + (performance.now() - startedAt) / 10, 500);
    await new Promise((resolve) => setTimeout(resolve, options.everyMs ?? usualMs));
  }
  const seen = options.seen ? `; seen: ${JSON.stringify(await options.seen())}` : '';
  throw new LimitPassed(`${what}: not within ${String(options.withinMs)} ms${seen}`);
}
