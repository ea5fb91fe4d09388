import { describe, expect, it } from 'vitest';
import type { SampleRate } from '../codecs/index.js';
import { sine } from '../phone/testing/spectrum.js';
import { SpeechLevel } from './speech-level.js';
import { joined, noise, p56, speech } from './testing/signals.js';

function measured(pcm: Int16Array, rate: SampleRate): SpeechLevel {
  const level = new SpeechLevel();
  const frame = rate / 50;
  for (let at = 0; at + frame <= pcm.length; at += frame)
    level.add(pcm.subarray(at, at + frame), frame, rate);
  return level;
}

describe('speech level', () => {
  it.each([
    [-16, 8000],
    [-26, 8000],
    [-36, 8000],
    [-46, 8000],
    [-26, 16000],
    [-26, 48000],
  ] as const)('of speech at %i dBov and %i Hz is what P.56 method B measures over all of it', (db, rate) => {
    const pcm = speech(db, rate, 8, 3);
    expect(Math.abs(measured(pcm, rate).levelDb! - p56(pcm, rate))).toBeLessThan(0.7);
  });

  it('does not change in silence or steady noise, however long', () => {
    const level = measured(speech(-26, 8000, 8), 8000);
    const before = level.levelDb;
    level.addSilence(60_000);
    const hiss = noise(0.002, 160 * 500);
    for (let at = 0; at < hiss.length; at += 160) level.add(hiss.subarray(at, at + 160), 160, 8000);
    expect(Math.abs(level.levelDb! - before!)).toBeLessThan(0.7);
    expect(level.isActive).toBe(false);
    expect(level.noiseDb).toBeGreaterThan(-56);
    expect(level.noiseDb).toBeLessThan(-52);
  });

  it('follows a talker who becomes quieter', () => {
    const pcm = joined(speech(-20, 8000, 10), speech(-35, 8000, 40, 2));
    expect(Math.abs(measured(pcm, 8000).levelDb! + 35)).toBeLessThan(2);
  });

  it('takes steady tones and noise for no speech, and has no level without any sound', () => {
    expect(measured(sine(400, 8000, 40_000), 8000).isModulated).toBe(false);
    expect(measured(noise(0.05, 40_000), 8000).isModulated).toBe(false);
    expect(measured(speech(-26, 8000, 5), 8000).isModulated).toBe(true);
    expect(measured(new Int16Array(40_000), 8000).levelDb).toBeUndefined();
    expect(new SpeechLevel().levelDb).toBeUndefined();
  });
});
