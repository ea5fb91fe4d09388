import { expect } from 'vitest';

/** Each length is four times the one before: work in time by the square of it would take sixteen times as long. */
const LENGTHS = [512, 2048, 8192, 32_768];
const MOST_GROWTH = 10;
/** In ms: below this, a length took no time worth comparing. */
const FLOOR_MS = 2;
const RUNS = 7;
/** How often work is timed at least, if it takes longer than the floor. */
const LEAST_RUNS = 3;

/** Seeds that hostile text is made of by repeating them, for whatever reads addresses, parameters, lists and tokens. */
const SEEDS = [
  ...[
    ' ',
    '\t',
    '<',
    '>',
    '"',
    '\\',
    ';',
    ',',
    '=',
    '%',
    '.',
    ':',
    '@',
    '[',
    '&',
    '|',
    '/',
    '-',
    'a',
    '0',
    '\n',
  ],
  ...[
    '\r\n ',
    '\r\n',
    'eyJ',
    'eyJ.',
    '.eyJ',
    '65794a',
    '%25',
    '%2E',
    '\\"',
    '"<',
    '<"',
    'a ',
    ' a',
    ';a',
    ';a=',
    ';a="',
  ],
  ...[
    ',a',
    '<a>',
    '; ',
    ' ;',
    '<sip:a>,',
    '?a=b&',
    ';token=',
    '|1:',
    '::',
    '\\x7e',
    'a=b;',
    '\u00a0',
    'SIP/2.0 ',
    '--a\r\n',
  ],
];
const BEFORE = ['', '<', '"', 'sip:'];
const AFTER = ['', 'x'];

/**
 * Fails unless the processor time that `work` takes grows as its input does, for hostile text of every kind put in by `place`.
 * Only lengths in the same run are compared, each by its best of some runs.
 */
export function expectLinear(
  work: (text: string) => unknown,
  place: (hostile: string) => string = String,
): void {
  const slow: string[] = [];
  for (const seed of SEEDS)
    for (const before of BEFORE)
      for (const after of AFTER) {
        const make = (length: number): string =>
          place(before + seed.repeat(Math.floor(length / seed.length)) + after);
        const growth = growthOf(work, make);
        if (growth !== undefined)
          slow.push(`${JSON.stringify(before)} ${JSON.stringify(seed)}* ${JSON.stringify(after)}: ${growth}`);
      }
  expect(slow).toEqual([]);
}

/**
 * What grows faster than its length; undefined: nothing. The time of a length is the best of several runs: it is the
 * measure for the next length, so a run that was disturbed would let quadratic work pass.
 */
export function growthOf(
  work: (text: string) => unknown,
  make: (length: number) => string,
): string | undefined {
  let last = FLOOR_MS;
  for (const length of LENGTHS) {
    const text = make(length);
    const limit = MOST_GROWTH * Math.max(last, FLOOR_MS);
    last = Number.POSITIVE_INFINITY;
    // Below the floor the exact time does not matter.
    const isSure = (run: number): boolean => last <= FLOOR_MS || (run >= LEAST_RUNS && last <= limit);
    for (let run = 0; run < RUNS && !isSure(run); run += 1) last = Math.min(last, timeOf(work, text));
    if (last > limit)
      return `${last.toFixed(1)} ms for ${length}, no more than ${limit.toFixed(1)} were expected`;
  }
  return undefined;
}

function timeOf(work: (text: string) => unknown, text: string): number {
  // Processor time: what else the machine does takes none of it.
  const startedAt = process.cpuUsage();
  try {
    work(text);
  } catch {
    // Refusing is an answer too.
  }
  const { user, system } = process.cpuUsage(startedAt);
  return (user + system) / 1000;
}
