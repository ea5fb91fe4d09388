import { type Logger, pino } from 'pino';

/** The process's log: JSON lines, or readable text on a terminal. */
export function createLog(level: string): Logger {
  if (!process.stdout.isTTY) return pino({ level, base: null });
  return pino({ level, base: null, transport: { target: 'pino-pretty', options: { singleLine: true } } });
}
