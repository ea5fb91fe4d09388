/**
 * What the playout of a stream makes of bursts and jitter, on a simulated clock: delay, gaps, and packets dropped. With
 * BENCH_BEFORE, a folder with another checkout, its playout is measured beside.
 */
import { pathToFileURL } from 'node:url';
import { Playout } from '../../src/media/audio/playout.js';
import { type Arrival, type Heard, play } from '../../src/media/audio/testing/played-network.js';
import { seeded, speech } from '../../src/media/audio/testing/signals.js';
import { findAudioCodec } from '../../src/media/codecs/index.js';
import { median } from '../median.js';

const PCMU = findAudioCodec('PCMU', 8000)!;
const SECONDS = 40;
const PTIME = 20;
const READ_MS = 20;
/** The beginning, in which the playout learns, is left out. */
const SETTLED_MS = 5000;
/** Moments of the reads between two packets, which chance decides in a call. */
const PHASES = [1, 3, 5, 7, 9, 11, 13, 15, 17, 19];

const SIGNAL = speech(-20, 8000, SECONDS, 3);

const before = process.env['BENCH_BEFORE'];
const playouts = new Map([['now', Playout]]);
if (before !== undefined) {
  const other = (await import(`${pathToFileURL(before).href}/src/media/audio/playout.ts`)) as {
    readonly Playout: typeof Playout;
  };
  playouts.set('before', other.Playout);
}

const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0);

/** @param atOf when the packet comes that holds what is said from a moment on, in ms */
function hear(Kind: typeof Playout, firstRead: number, atOf: (ms: number) => number) {
  const arrivals: Arrival[] = Array.from({ length: (SECONDS * 1000) / PTIME }, (_, index) => ({
    index,
    at: atOf(index * PTIME),
  }));
  let playout: Playout | undefined;
  const open = (now: () => number): Playout => (playout = new Kind(PCMU, 8000, now));
  const seconds = SECONDS - 2;
  const heard: Heard = play(open, {
    codec: PCMU,
    rate: 8000,
    signal: SIGNAL,
    ptime: PTIME,
    arrivals,
    firstRead,
    seconds,
  });
  return { ...heard, counters: playout!.counters };
}

/** Jitter of an even distribution, and one with a long tail that keeps the order, as queues make it. */
function jitter(): void {
  console.log(
    'jitter: delay of a sample after its packet came at the earliest (median, mean), late frames of 1,000',
  );
  const networks: readonly (readonly [string, () => (ms: number) => number])[] = [0, 10, 30].map((most) => [
    `0 to ${most} ms`,
    () => {
      const random = seeded(5);
      return (ms) => ms + random() * most;
    },
  ]);
  const queue = (): ((ms: number) => number) => {
    const random = seeded(5);
    let last = 0;
    return (ms) => (last = Math.max(last, ms - 15 * Math.log(1 - random())));
  };
  for (const [name, network] of [...networks, ['queue, mean 15 ms', queue] as const]) {
    for (const [which, Kind] of playouts) {
      const delays: number[] = [];
      const late: boolean[] = [];
      for (const phase of PHASES) {
        const heard = hear(Kind, phase, network());
        delays.push(...heard.delays.slice(SETTLED_MS / READ_MS));
        late.push(...heard.madeUp.slice(SETTLED_MS / READ_MS).map((ms) => ms > 0));
      }
      const perMille = (1000 * late.filter(Boolean).length) / late.length;
      console.log(
        `  ${name.padEnd(18)} ${which.padEnd(7)} ${median(delays).toFixed(0).padStart(3)} ms, ` +
          `${(sum(delays) / delays.length).toFixed(1).padStart(5)} ms, ${perMille.toFixed(1)}`,
      );
    }
  }
}

function inBursts(): void {
  console.log(
    'bursts for 10 s: made up after the first one, packets dropped, delay back to 60 ms after the last',
  );
  const end = 10_000;
  const burst = (ms: number): readonly [string, number, (at: number) => number] => [
    `${ms} ms every ${ms} ms`,
    end - ms,
    // Afterwards what is said ahead goes on being so: the delay does not go away by itself.
    (at) => (at < end ? Math.floor(at / ms) * ms : at - ms + PTIME),
  ];
  const stall = ['a stall of 500 ms', 4500, (at: number) => (at > 4000 && at < 4500 ? 4500 : at)] as const;
  for (const [name, last, atOf] of [burst(200), burst(400), burst(1000), stall]) {
    for (const [which, Kind] of playouts) {
      const { madeUp, buffered, counters } = hear(Kind, 7, atOf);
      const from = name.startsWith('a') ? last + 2 * READ_MS : 1000;
      const back = (buffered.findLastIndex((ms) => ms > 60) + 1) * READ_MS - last;
      console.log(
        `  ${name.padEnd(24)} ${which.padEnd(7)} ${sum(madeUp.slice(from / READ_MS)).toFixed(0)} ms, ` +
          `${counters.overflow}, ${Math.max(0, back)} ms`,
      );
    }
  }
}

export function bursts(): void {
  jitter();
  inBursts();
}
