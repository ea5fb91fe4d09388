import { closeSync, openSync } from 'node:fs';
import { isatty } from 'node:tty';
import type { Logger } from 'pino';
import { Counter, type Registry } from 'prom-client';

const STANDARD = [0, 1, 2];

/** The part of `process` that tells of signals. */
interface SignalSource {
  on(event: 'SIGTERM' | 'SIGINT' | 'SIGHUP', listener: (signal: NodeJS.Signals) => void): unknown;
}

/**
 * One wish to stop often comes as several signals: a supervisor or a terminal signals the whole process group, and
 * npm passes on to its child what it got itself. Nobody means a second one within so many ms.
 */
const ONE_WISH_MS = 1_000;

/**
 * Takes one step for each wish to stop, the last again and again. A closed terminal (SIGHUP) wishes what Ctrl-C and
 * supervisors wish.
 * @param now a clock that is never set, in ms
 */
export function onStopSignals(
  source: SignalSource,
  steps: readonly ((signal: NodeJS.Signals) => void)[],
  now: () => number = () => performance.now(),
): void {
  let counted = 0;
  let last = -Infinity;
  const onSignal = (signal: NodeJS.Signals): void => {
    if (now() - last < ONE_WISH_MS) return;
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
 * Remembers which of the standard inputs and outputs are a terminal.
 * @returns what puts nothing in the place of those whose terminal is gone: what is logged on the way down would fail,
 *   and Node gives a terminal its modes back when it exits and aborts when it cannot
 */
export function knownTerminal(): () => void {
  const terminals = STANDARD.filter((fd) => isatty(fd));
  return () => {
    for (const fd of terminals.filter((known) => !isatty(known))) {
      closeSync(fd);
      // The system gives the lowest number that is free: those below are taken.
      openSync('/dev/null', fd === 0 ? 'r' : 'w');
    }
  };
}

/** The part of `process` that tells of errors. */
interface ErrorSource {
  on(event: 'uncaughtException' | 'unhandledRejection', listener: (error: unknown) => void): unknown;
}

/**
 * Keeps the process running when an error reaches its top: one call's fault must not end all the others. Each is
 * logged as an error of the gateway itself and counted, so that it is seen and mended.
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
