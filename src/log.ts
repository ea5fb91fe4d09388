import { destination, type Logger, pino } from 'pino';

/** What may wait for a reader that is slow, in bytes. */
const MAX_WAITING = 16 * 1024 * 1024;
/** Lines are written when there are so many bytes of them, or so many ms later. */
const BATCH = 12_288;
const BATCH_MS = 50;

/**
 * The process's log: JSON lines, or readable text on a terminal. Who reads it slowly, or not at all, holds up no
 * call: lines wait for it, and those that are too many are dropped, counted and told of once it reads again.
 */
export function createLog(level: string): Logger {
  if (process.stdout.isTTY) {
    return pino({ level, base: null, transport: { target: 'pino-pretty', options: { singleLine: true } } });
  }
  const output = destination({
    dest: process.stdout.fd,
    sync: false,
    // Together: one write for each line, on a thread of its own, would take more of a core than the line itself.
    minLength: BATCH,
    periodicFlush: BATCH_MS,
    maxLength: MAX_WAITING,
  });
  const log = pino({ level, base: null }, output);
  let dropped = 0;
  output.on('drop', () => {
    dropped += 1;
  });
  output.on('drain', () => {
    if (dropped > 0) log.warn({ dropped }, 'log lines were dropped: nobody read them in time');
    dropped = 0;
  });
  process.on('exit', () => output.flushSync());
  return log;
}
