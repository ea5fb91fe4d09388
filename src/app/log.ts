import { destination, type Logger, pino } from 'pino';
import { maskTokens } from '../shared/index.js';

/** What may wait for a reader that is slow, in bytes. */
const MAX_WAITING = 16 * 1024 * 1024;
/** Lines are written when there are so many characters of them, or so many ms later. */
const PIECE = 49_152;
const PIECE_MS = 50;

/**
 * The process's log: JSON lines, or readable text on a terminal. Who reads it slowly, or not at all, holds up no
 * call: lines wait for it, and those that are too many are dropped, counted and told of once it reads again. The same
 * holds for a disk that is full.
 */
export function createLog(level: string): Logger {
  // Whatever a line is about, and however a phone or a page spelled its token.
  const options = { level, base: null, hooks: { streamWrite: maskTokens } };
  if (process.stdout.isTTY) {
    const transport = { target: 'pino-pretty', options: { singleLine: true } };
    return pino({ ...options, transport });
  }
  const output = destination({ dest: process.stdout.fd, sync: false, maxLength: MAX_WAITING });
  const lines = inPieces((piece) => output.write(piece));
  const log = pino(options, lines);
  let dropped = 0;
  output.on('drop', (piece: string) => {
    dropped += piece.split('\n').length - 1;
  });
  output.on('drain', () => {
    if (dropped > 0) log.warn({ dropped }, 'log lines were dropped: nobody read them in time');
    dropped = 0;
  });
  // On a full disk the library's flushSync tries again for ever, also in its own hook at exit.
  let failed = false;
  output.on('error', () => (failed = true));
  output.on('write', () => (failed = false));
  const flush = output.flushSync.bind(output);
  output.flushSync = () => {
    if (!failed) flush();
  };
  process.on('exit', () => {
    output.flushSync();
    if (failed) return;
    // Not by the same way: what it began to write now would not be written any more.
    const last = destination({ dest: process.stdout.fd, sync: true });
    last.on('error', () => undefined);
    last.write(lines.take());
  });
  return log;
}

/**
 * Lines on their way together: a write for each, on a thread of its own, would take more of a core than the line
 * itself. The library would gather them too, but looks through all it has for each line that it is given.
 */
function inPieces(write: (piece: string) => void): { write(line: string): void; take(): string } {
  let piece = '';
  let timer: NodeJS.Timeout | undefined;
  const take = (): string => {
    clearTimeout(timer);
    timer = undefined;
    const taken = piece;
    piece = '';
    return taken;
  };
  return {
    write(line) {
      piece += line;
      if (piece.length >= PIECE) write(take());
      else timer ??= setTimeout(() => write(take()), PIECE_MS).unref();
    },
    take,
  };
}
