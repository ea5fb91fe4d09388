import type { Logger } from 'pino';
import { Counter, type Registry } from 'prom-client';

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
