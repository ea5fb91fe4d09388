import { destination, type Logger, pino } from 'pino';
import { maskTokens } from '../shared/index.js';

/** Bytes that may wait for a slow reader. */
const MAX_WAITING = 16 * 1024 * 1024;
/** Lines are written once they have this many bytes, or after this many ms: a write costs more than a line. */
const BATCH = 8_192;
const BATCH_MS = 50;

/**
 * The process's log: JSON lines, or readable text on a terminal. A slow reader, or a full disk, never blocks calls:
 * lines queue, then are dropped and counted, and the count is logged as soon as lines are written again.
 */
export function createLog(level: string): Logger {
  // Mask tokens in the finished line: any field may hold one, in any encoding that phones and pages use.
  const options = { level, base: null, hooks: { streamWrite: maskTokens } };
  if (process.stdout.isTTY) {
    const transport = { target: 'pino-pretty', options: { singleLine: true } };
    return pino({ ...options, transport });
  }
  const output = destination({
    dest: process.stdout.fd,
    sync: false,
    minLength: BATCH,
    maxLength: MAX_WAITING,
    periodicFlush: BATCH_MS,
  });
  const log = pino(options, output);
  let dropped = 0;
  output.on('drop', () => (dropped += 1));
  output.on('drain', () => {
    if (dropped > 0) log.warn({ dropped }, 'log lines were dropped: the reader was too slow');
    dropped = 0;
  });
  // pino flushes synchronously at exit. On a full disk its flushSync would retry for ever.
  let failed = false;
  output.on('error', () => (failed = true));
  output.on('write', (bytes: number) => {
    // A flush without bytes succeeds even on a full disk.
    if (bytes > 0) failed = false;
  });
  const flush = output.flushSync.bind(output);
  output.flushSync = () => {
    if (!failed) flush();
  };
  return log;
}
