import type { Rest } from './rest.js';
import { until } from './until.js';

/** Resolves when a gateway answers REST, itself or by the leader, and has made a session. @returns after how long, in ms */
export async function servesAgain(rest: Rest, tag?: string): Promise<number> {
  const since = performance.now();
  const done = (): Promise<boolean> =>
    rest.session(tag).then(
      () => true,
      () => false,
    );
  await until('REST', done, { withinMs: 30_000, everyMs: 20 });
  return Math.round(performance.now() - since);
}
