import { expect } from 'vitest';

/** Each length is four times the previous one: quadratic work takes sixteen times as long. */
const LENGTHS = [512, 2048, 8192, 32_768];
const MOST_GROWTH = 10;
/** In ms: shorter times are not compared. */
const FLOOR_MS = 2;
const RUNS = 7;
/** Fewest runs of work that takes longer than the floor. */
const LEAST_RUNS = 3;

/** Seeds that are repeated to make hostile text for readers of addresses, parameters, lists and tokens. */
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
 * Fails unless the processor time of `work` grows linearly with its input, for every kind of hostile text that `place`
 * puts into it. Only lengths in the same run are compared, each by the best of some runs.
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
 * Describes growth that is faster than linear; undefined if there is none. The time of a length is the best of several
 * runs, since the next length is compared with it: after a disturbed run quadratic work would pass.
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
  // Processor time does not count what else the machine does.
  const startedAt = process.cpuUsage();
  try {
    work(text);
  } catch {
    // A refusal also counts as done.
  }
  const { user, system } = process.cpuUsage(startedAt);
  return (user + system) / 1000;
}
