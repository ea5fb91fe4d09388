import { describe, expect, it } from 'vitest';
import { sine } from '../phone/testing/spectrum.js';
import { levelDb, noise, sharpestBend, voice } from './testing/signals.js';
import { TimeScale } from './time-scale.js';

const RATES = [8000, 16000, 24000, 48000] as const;

describe('time scale', () => {
  it.each(RATES)('cuts whole periods out of a voice at %i Hz, without a click', (rate) => {
    const scale = new TimeScale(rate);
    for (const hertz of [80, 100, 130, 180, 240, 350]) {
      const pcm = voice(rate, 1, hertz);
      const own = sharpestBend(pcm);
      const before = pcm.slice();
      const from = rate / 10;
      const end = from + scale.enough + 100;
      const cut = scale.shorten(pcm, from, end, rate, 0.9);
      expect(cut).toBeGreaterThanOrEqual(rate / 400);
      expect(cut).toBeLessThanOrEqual((rate * 15) / 1000);
      expect(sharpestBend(pcm, 0, end - cut)).toBeLessThanOrEqual(1.1 * own);
      // What comes before and after is as it was.
      expect(pcm.subarray(0, from)).toEqual(before.subarray(0, from));
      expect(pcm.subarray(from + cut, end - cut)).toEqual(before.subarray(from + 2 * cut, end));
    }
  });

  it.each(RATES)('repeats whole periods of a voice at %i Hz, without a click', (rate) => {
    const scale = new TimeScale(rate);
    const pcm = voice(rate, 1);
    const own = sharpestBend(pcm);
    const before = pcm.slice();
    const from = rate / 10;
    const end = from + scale.enough + 100;
    const added = scale.lengthen(pcm, from, end, 0.9);
    expect(added).toBeGreaterThanOrEqual(rate / 400);
    expect(sharpestBend(pcm, 0, end + added)).toBeLessThanOrEqual(1.1 * own);
    expect(pcm.subarray(0, from + added)).toEqual(before.subarray(0, from + added));
    expect(pcm.subarray(from + 2 * added, end + added)).toEqual(before.subarray(from + added, end));
  });

  it('keeps within the limit, and leaves alone what has no period that short', () => {
    const scale = new TimeScale(8000);
    expect(scale.shorten(voice(8000, 1), 0, 400, 79, 0)).toBeLessThanOrEqual(79);
    expect(scale.shorten(sine(110, 8000, 400), 0, 400, 40, 0.9)).toBe(0);
    expect(scale.shorten(voice(8000, 1), 0, 400, 19, 0)).toBe(0);
    expect(scale.shorten(voice(8000, 1), 0, 30, 400, 0)).toBe(0);
  });

  it('cuts noise only when anything will do', () => {
    const scale = new TimeScale(8000);
    expect(scale.shorten(noise(0.1, 400), 0, 400, 400, 0.9)).toBe(0);
    const pcm = noise(0.1, 400);
    const cut = scale.shorten(pcm, 0, 400, 400, 0);
    expect(cut).toBeGreaterThan(0);
    expect(levelDb(pcm, 0, 400 - cut)).toBeCloseTo(levelDb(noise(0.1, 400)), -1);
  });

  it('cuts any part of silence', () => {
    const scale = new TimeScale(8000);
    expect(scale.shortenQuiet(new Int16Array(400), 0, 400, 1000)).toBe(400 - scale.quietFade);
    expect(scale.shortenQuiet(new Int16Array(400), 0, 400, 3)).toBe(3);
    expect(scale.shortenQuiet(new Int16Array(400), 0, 30, 100)).toBe(0);
  });
});
