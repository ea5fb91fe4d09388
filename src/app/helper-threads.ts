import { readdirSync } from 'node:fs';
import { constants, setPriority } from 'node:os';
import type { Logger } from 'pino';

/** Node 20 and 24 first start these threads: V8's four helpers, and one that delays tasks for them. */
const HELPERS = 5;

/**
 * Gives garbage collection a lower priority than calls: V8 marks with four threads, which would leave the main thread a
 * fifth of a single core. Measured with 200 calls/s on one core, p99 from INVITE to 200, with this and without:
 * Node 20: 56 and 228 ms on a quiet machine, 40 and 72 to 132 on a shared one; Node 24 there: 44 to 80 and 48 to 124.
 * Linux only, where each thread has its own priority; does nothing if a flag chose the number of helpers.
 * @returns the ids of the threads that were lowered
 */
export function yieldToCalls(log: Pick<Logger, 'warn'>): number[] {
  const flags = [...process.execArgv, process.env['NODE_OPTIONS'] ?? ''].join(' ');
  if (process.platform !== 'linux' || flags.includes('v8-pool-size')) return [];
  try {
    // Threads are listed in the order of their start, the main thread first.
    const helpers = readdirSync('/proc/self/task')
      .slice(1, 1 + HELPERS)
      .map(Number);
    for (const id of helpers) setPriority(id, constants.priority.PRIORITY_LOW);
    return helpers;
  } catch (error) {
    log.warn(
      { err: error },
      'cannot lower the priority of garbage collection: on one core, calls may be answered late',
    );
    return [];
  }
}
