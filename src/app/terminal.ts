import { closeSync, openSync } from 'node:fs';
import { isatty } from 'node:tty';

const STANDARD = [0, 1, 2];

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
