import { closeSync, openSync, readdirSync } from 'node:fs';
import { constants, setPriority } from 'node:os';
import { isatty } from 'node:tty';
import type { Logger } from 'pino';
import { Counter, type Registry } from 'prom-client';

const STANDARD = [0, 1, 2];

/** The part of `process` that emits signals. */
interface SignalSource {
  on(event: 'SIGTERM' | 'SIGINT' | 'SIGHUP', listener: (signal: NodeJS.Signals) => void): unknown;
}

/**
 * One request to stop often arrives as several signals: a supervisor or terminal signals the whole process group, and
 * npm forwards a signal to its child. Signals within this time count as one.
 */
const ONE_REQUEST_MS = 1_000;

/**
 * Takes the next step for each request to stop; the last step is repeated. A closed terminal (SIGHUP) counts as Ctrl-C.
 * @param now a monotonic clock, in ms
 */
export function onStopSignals(
  source: SignalSource,
  steps: readonly ((signal: NodeJS.Signals) => void)[],
  now: () => number = () => performance.now(),
): void {
  let counted = 0;
  let last = -Infinity;
  const onSignal = (signal: NodeJS.Signals): void => {
    if (now() - last < ONE_REQUEST_MS) return;
    last = now();
    const step = steps[Math.min(counted, steps.length - 1)];
    counted += 1;
    step?.(signal);
  };
  source.on('SIGTERM', onSignal);
  source.on('SIGINT', onSignal);
  source.on('SIGHUP', onSignal);
}

/**
 * Remembers which of the standard streams are a terminal.
 * @returns a function that replaces those whose terminal is gone by /dev/null, since logging to them fails, and Node
 *   aborts at exit when it cannot restore a terminal's modes
 */
export function knownTerminal(): () => void {
  const terminals = STANDARD.filter((fd) => isatty(fd));
  return () => {
    for (const fd of terminals.filter((known) => !isatty(known))) {
      closeSync(fd);
      // open(2) returns the lowest free descriptor, which is the one just closed.
      openSync('/dev/null', fd === 0 ? 'r' : 'w');
    }
  };
}

/** The part of `process` that emits errors. */
interface ErrorSource {
  on(event: 'uncaughtException' | 'unhandledRejection', listener: (error: unknown) => void): unknown;
}

/**
 * Keeps the process running after an uncaught error, since a bug in one call must not end all others. Each error is
 * logged and counted.
 */
export function surviveUncaught(source: ErrorSource, log: Logger, metrics: Registry): void {
  const counter = new Counter({
    name: 'patchbay_uncaught_errors_total',
    help: 'Errors that no part of the gateway handled; each is a bug.',
    registers: [metrics],
  });
  const note = (error: unknown): void => {
    counter.inc();
    log.error({ err: error }, 'uncaught error: this is a bug in the gateway');
  };
  source.on('uncaughtException', note);
  source.on('unhandledRejection', note);
}

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
