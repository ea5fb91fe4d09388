import { closeSync, openSync } from 'node:fs';
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
