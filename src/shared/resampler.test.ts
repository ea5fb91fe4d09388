import { describe, expect, it } from 'vitest';
import { Resampler } from './resampler.js';

const RATES = [8000, 16_000, 24_000, 48_000];
const PAIRS = [...RATES, 44_100, 22_050, 11_025].flatMap((from) =>
  RATES.filter((to) => to !== from).map((to) => [from, to] as const),
);

function sine(rate: number, hertz: number, seconds = 1): Int16Array {
  return Int16Array.from({ length: rate * seconds }, (_, i) =>
    Math.round(16_000 * Math.sin((2 * Math.PI * hertz * i) / rate)),
  );
}

/** In pieces of 20 ms, as streams come. */
function resample(input: Int16Array, from: number, to: number): Int16Array {
  const resampler = new Resampler(from, to);
  const piece = Math.ceil(from / 50);
  const out = new Int16Array(resampler.room(input.length) + input.length);
  let written = 0;
  for (let at = 0; at < input.length; at += piece) {
    const part = input.subarray(at, at + piece);
    written += resampler.process(part, part.length, out, written);
  }
  return out.subarray(0, written);
}

/** Power in dB relative to the sine above, without the start. */
function db(pcm: Int16Array): number {
  const settled = pcm.subarray(pcm.length / 5);
  const power = settled.reduce((sum, sample) => sum + sample * sample, 0) / settled.length;
  return 10 * Math.log10(Math.max(power, 0.01) / (16_000 ** 2 / 2));
}

/** The same at one frequency. */
function dbAt(pcm: Int16Array, rate: number, hertz: number): number {
  const settled = pcm.subarray(pcm.length / 5);
  let [re, im] = [0, 0];
  for (let i = 0; i < settled.length; i += 1) {
    re += settled[i]! * Math.cos((2 * Math.PI * hertz * i) / rate);
    im += settled[i]! * Math.sin((2 * Math.PI * hertz * i) / rate);
  }
  return 10 * Math.log10((re * re + im * im) / (settled.length / 2) ** 2 / 16_000 ** 2);
}

describe('Resampler', () => {
  it.each(PAIRS)('makes as many samples of %i Hz as there have to be at %i Hz', (from, to) => {
    const out = resample(sine(from, 440), from, to);
    expect(Math.abs(out.length - to)).toBeLessThanOrEqual(1);
  });

  it.each(PAIRS)('keeps tones below 0.45 times the lower rate from %i to %i Hz', (from, to) => {
    const lower = Math.min(from, to);
    for (const hertz of [0.05, 0.2, 0.4, 0.44].map((share) => Math.round(share * lower)))
      expect(dbAt(resample(sine(from, hertz), from, to), to, hertz)).toBeCloseTo(0, 0.5);
  });

  it.each(PAIRS.filter(([from, to]) => from > to))(
    'leaves 70 dB less of what the lower rate cannot hold, from %i to %i Hz',
    (from, to) => {
      for (let hertz = 0.55 * to; hertz < from / 2; hertz += to / 7)
        expect(db(resample(sine(from, hertz), from, to))).toBeLessThan(-70);
    },
  );

  it.each(PAIRS.filter(([from, to]) => from < to))('adds no images from %i to %i Hz', (from, to) => {
    for (const share of [0.1, 0.3, 0.45]) {
      // Whole periods in what is measured.
      const hertz = 5 * Math.round((share * from) / 5);
      const out = resample(sine(from, hertz), from, to);
      const rest = 10 ** (db(out) / 10) - 10 ** (dbAt(out, to, hertz) / 10);
      expect(10 * Math.log10(Math.max(rest, 1e-12))).toBeLessThan(-65);
    }
  });

  it('gives the same whatever the pieces are', () => {
    const input = sine(44_100, 1000, 0.2);
    const whole = new Int16Array(9700);
    const length = new Resampler(44_100, 48_000).process(input, input.length, whole);
    const pieces = resample(input, 44_100, 48_000);
    expect(pieces).toEqual(whole.subarray(0, length));
  });

  it('passes a stream of the same rate as it is, and clips what the filter raises over full scale', () => {
    const input = sine(8000, 440);
    expect(resample(input, 16_000, 16_000).subarray(0, 8000)).toEqual(input);
    const square = Int16Array.from({ length: 8000 }, (_, i) => (i % 8 < 4 ? 32_767 : -32_768));
    const out = resample(square, 8000, 16_000);
    expect(Math.max(...out)).toBe(32_767);
    expect(Math.min(...out)).toBe(-32_768);
  });
});
