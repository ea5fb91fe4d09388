import { readFileSync } from 'node:fs';

/** Node loads many modules at once: with fewer open files it reports modules as missing. */
const LEAST_FILES = 256;
const EXIT_FAILURE = 1;

/** How many files the process may open; Infinity where unknown. */
function fileLimit(): number {
  if (process.platform !== 'linux') return Number.POSITIVE_INFINITY;
  const limits = readFileSync('/proc/self/limits', 'utf8');
  return Number(/^Max open files +(\d+)/m.exec(limits)?.[1] ?? Number.POSITIVE_INFINITY);
}

const limit = fileLimit();
if (limit < LEAST_FILES) {
  process.stderr.write(
    `Patchbay cannot start: it may have only ${limit} files open, and needs at least ${LEAST_FILES}. ` +
      'Raise the limit (ulimit -n, LimitNOFILE= of systemd), for example to 65536.\n',
  );
  process.exitCode = EXIT_FAILURE;
} else {
  await import('./app/run.js');
}
