import { readdirSync } from 'node:fs';
import { constants, setPriority } from 'node:os';
import type { Logger } from 'pino';

/** The threads that Node starts before any other: V8's four helpers, and the one that delays tasks for them. */
const HELPERS = 5;

/**
 * Lets calls go before garbage collection where both want the same core: V8 marks with four threads, which on one
 * core would leave the main thread a fifth of it for as long as marking takes. Linux only, where a thread has a
 * priority of its own; does nothing elsewhere, or when the number of helpers was chosen by a flag.
 * @returns the ids of the threads that were lowered
 */
export function yieldToCalls(log: Pick<Logger, 'warn'>): number[] {
  const flags = [...process.execArgv, process.env['NODE_OPTIONS'] ?? ''].join(' ');
  if (process.platform !== 'linux' || flags.includes('v8-pool-size')) return [];
  try {
    // Listed in the order of their start, the main thread first.
    const helpers = readdirSync('/proc/self/task')
      .slice(1, 1 + HELPERS)
      .map(Number);
    for (const id of helpers) setPriority(id, constants.priority.PRIORITY_LOW);
    return helpers;
  } catch (error) {
    log.warn({ err: error }, 'garbage collection keeps its priority: calls may be answered late on one core');
    return [];
  }
}
