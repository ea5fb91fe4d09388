import { expect } from 'vitest';

/** Each length is four times the previous one: quadratic work takes sixteen times as long. */
const LENGTHS = [512, 2048, 8192, 32_768];
const LONGEST = 131_072;
const MOST_GROWTH = 10;
/** In ms: shorter times are not compared. */
const FLOOR_MS = 2;
/** What takes longer is not tried with more text. */
const LONG_MS = 100;
const RUNS = 7;
/** Fewest runs of work that takes longer than the floor, if the next length is compared with it. */
const LEAST_RUNS = 3;
/** No disturbance of processor time is that long: one run is enough. */
const SURE_MS = 500;

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

/** Describes growth that is faster than linear; undefined if there is none. */
export function growthOf(
  work: (text: string) => unknown,
  make: (length: number) => string,
): string | undefined {
  let last = FLOOR_MS;
  let suspect: string | undefined;
  for (const length of [...LENGTHS, LONGEST]) {
    // The longest is only for confirmation.
    if (length === LONGEST && suspect === undefined) break;
    const limit = MOST_GROWTH * Math.max(last, FLOOR_MS);
    // Another length follows the last one only if it is suspect, and that is certain by more runs.
    const leastRuns = length < LENGTHS.at(-1)! ? LEAST_RUNS : 1;
    last = bestTimeOf(work, make(length), { limit, leastRuns });
    if (last <= limit) {
      suspect = undefined;
      continue;
    }
    const told = `${last.toFixed(1)} ms for ${length}, no more than ${limit.toFixed(1)} were expected`;
    // One step may be an allocation that the engine makes in another way above a size; quadratic work goes on so.
    if (suspect !== undefined || last > LONG_MS) return suspect ?? told;
    suspect = told;
  }
  return suspect;
}

/** The best of several runs, since the next length is compared with it: after a disturbed run quadratic work would pass. */
function bestTimeOf(
  work: (text: string) => unknown,
  text: string,
  { limit, leastRuns }: { readonly limit: number; readonly leastRuns: number },
): number {
  let best = Number.POSITIVE_INFINITY;
  // Below the floor the exact time does not matter.
  const isSure = (runs: number): boolean =>
    best <= FLOOR_MS || (best <= limit ? runs >= leastRuns : best > SURE_MS);
  for (let runs = 0; runs < RUNS && (runs === 0 || !isSure(runs)); runs += 1)
    best = Math.min(best, timeOf(work, text));
  return best;
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
