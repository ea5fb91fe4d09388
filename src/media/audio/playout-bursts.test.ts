import { describe, expect, it } from 'vitest';
import { findAudioCodec } from '../codecs/index.js';
import { Playout } from './playout.js';
import { type Arrival, type Heard, play } from './testing/played-network.js';
import { sharpestBend, speech, voice } from './testing/signals.js';

const pcmu = findAudioCodec('PCMU', 8000)!;
const SECONDS = 14;
const BURSTS_MS = 8000;
const READ_MS = 20;
const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0);

/** Speech with pauses, and a voice that leaves none to cut out. */
const signals = { speech: speech(-20, 8000, SECONDS, 3), voice: voice(8000, SECONDS) };

/** What the codec makes of a signal. */
function decoded(signal: Int16Array): Int16Array {
  const payload = Buffer.alloc(signal.length);
  const pcm = new Int16Array(signal.length);
  pcmu.createEncoder(8000).encode(signal, signal.length, payload, 0);
  for (let at = 0; at < signal.length; at += 160)
    pcmu.createDecoder(8000).decode(payload, at, at + 160, pcm, at);
  return pcm;
}

interface Played extends Heard {
  readonly playout: Playout;
}

function hear(signal: Int16Array, ptime: number, atOf: (ms: number) => number): Played {
  const arrivals: Arrival[] = Array.from({ length: (SECONDS * 1000) / ptime }, (_, index) => ({
    index,
    at: atOf(index * ptime),
  }));
  let playout: Playout | undefined;
  const heard = play((now) => (playout = new Playout(pcmu, 8000, now)), {
    codec: pcmu,
    rate: 8000,
    signal,
    ptime,
    arrivals,
    firstRead: 7,
    seconds: SECONDS - 2,
  });
  return { ...heard, playout: playout! };
}

/** When the delay is at most 60 ms for good, in ms after a moment. */
function backAfter({ buffered }: Heard, from: number): number {
  const last = buffered.findLastIndex((ms) => ms > 60);
  return Math.max(0, (last + 1) * READ_MS - from);
}

describe('playout of bursts', () => {
  const rows = Object.keys(signals).flatMap((name) =>
    [10, 20].flatMap((ptime) => [200, 400, 1000].map((ms) => [name, ptime, ms] as const)),
  );

  it.each(rows)('plays %s in packets of %i ms, %i ms at once, whole', (name, ptime, burst) => {
    const signal = signals[name as keyof typeof signals];
    // Afterwards what is said ahead goes on being so: the delay does not go away by itself.
    const heard = hear(signal, ptime, (ms) =>
      ms < BURSTS_MS ? Math.floor(ms / burst) * burst : ms - burst + ptime,
    );
    const lastBurst = BURSTS_MS - burst;
    expect(sum(heard.madeUp.slice(burst / READ_MS))).toBe(0);
    expect(heard.playout.counters).toMatchObject({ overflow: 0, late: 0, lost: 0 });
    // Sample by sample, while there are bursts.
    const own = decoded(signal);
    const shift = 160;
    expect(heard.pcm.subarray(shift + 160, (lastBurst / READ_MS) * 160)).toEqual(
      own.subarray(160, (lastBurst / READ_MS) * 160 - shift),
    );
    expect(Math.max(...heard.buffered)).toBeGreaterThan(burst - READ_MS);
    expect(backAfter(heard, lastBurst)).toBeLessThanOrEqual(3000);
    expect(sharpestBend(heard.pcm, 400)).toBeLessThanOrEqual(1.15 * sharpestBend(own));
  });

  it.each(Object.keys(signals))('plays %s whole that was stalled for 500 ms', (name) => {
    const signal = signals[name as keyof typeof signals];
    const heard = hear(signal, 20, (ms) => (ms > 4000 && ms < 4500 ? 4500 : ms));
    expect(sum(heard.madeUp.slice(4540 / READ_MS))).toBe(0);
    expect(heard.playout.counters).toMatchObject({ overflow: 0, late: 0, lost: 0 });
    // All of what came late is heard, sample by sample.
    const own = decoded(signal);
    const from = heard.pcm.indexOf(own[4100 * 8]!, 4500 * 8);
    expect(from).toBeGreaterThan(0);
    expect(backAfter(heard, 4500)).toBeLessThanOrEqual(3000);
  });

  it('is not misled by bursts that come unevenly', () => {
    // Up to 18 ms late each, and over several turns of the event loop.
    const heard = hear(
      signals.voice,
      20,
      (ms) => Math.floor(ms / 1000) * 1000 + ((Math.floor(ms / 1000) * 7) % 18) + (ms % 1000) / 20,
    );
    expect(heard.playout.counters).toMatchObject({ overflow: 0, late: 0, lost: 0 });
    // The delay grows once to what the latest burst needs.
    expect(sum(heard.madeUp)).toBeLessThanOrEqual(60);
    expect(sum(heard.madeUp.slice(3000 / READ_MS))).toBe(0);
  });
});
