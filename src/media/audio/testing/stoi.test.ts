import { describe, expect, it } from 'vitest';
import { noise } from './signals.js';
import { spoken } from './spoken.js';
import { resample, stoi } from './stoi.js';

const RATE = 8000;
const speech = spoken(RATE);
const rms = (pcm: Int16Array): number =>
  Math.sqrt(pcm.reduce((sum, sample) => sum + sample * sample, 0) / pcm.length) / 32768;

const noisy = (snrDb: number, seed = 1): Int16Array => {
  const added = noise(rms(speech) * 10 ** (-snrDb / 20), speech.length, seed);
  return speech.map((sample, i) => sample + added[i]!);
};

describe('the intelligibility measure', () => {
  it('is one for the speech itself, however loud', () => {
    expect(stoi(speech, speech, RATE)).toBeCloseTo(1, 6);
    expect(
      stoi(
        speech,
        speech.map((sample) => sample / 4),
        RATE,
      ),
    ).toBeGreaterThan(0.999);
  });

  it('falls with each step of noise, and is low where only noise is left', () => {
    const scores = [30, 20, 10, 5, 0, -5, -10].map((snr) => stoi(speech, noisy(snr), RATE));
    for (const [i, score] of scores.entries()) if (i > 0) expect(score).toBeLessThan(scores[i - 1]! - 0.005);
    expect(scores[0]).toBeGreaterThan(0.95);
    expect(stoi(speech, noise(0.05, speech.length, 7), RATE)).toBeLessThan(0.45);
  });

  it('hardly depends on the rate at which the speech is', () => {
    const wide = spoken(16_000);
    const added = Int16Array.from(resample(noisy(5), RATE, 16_000));
    expect(Math.abs(stoi(wide, added, 16_000) - stoi(speech, noisy(5), RATE))).toBeLessThan(0.03);
  });
});

describe('the resampler of tests', () => {
  it('keeps a tone, and what lies above the lower rate away', () => {
    const tone = (hertz: number): Float64Array =>
      Float64Array.from({ length: 16_000 }, (_, i) => Math.sin((2 * Math.PI * hertz * i) / 16_000));
    const level = (pcm: Float64Array): number =>
      Math.sqrt(pcm.slice(500, -500).reduce((sum, sample) => sum + sample * sample, 0) / (pcm.length - 1000));
    expect(level(resample(tone(1000), 16_000, 10_000))).toBeCloseTo(Math.SQRT1_2, 2);
    expect(level(resample(tone(7000), 16_000, 10_000))).toBeLessThan(0.001);
    expect(resample(tone(1000), 16_000, 10_000)).toHaveLength(10_000);
  });
});
