import { describe, expect, it } from 'vitest';
import { sine, toneLevel } from '../phone/testing/spectrum.js';
import { Limiter, peakOf } from './limiter.js';
import { noise, seeded, speech } from './testing/signals.js';

const FRAME = 160;

/** Limits the sum of signals at 8 kHz. */
function limited(
  parts: readonly ArrayLike<number>[],
  limiter = new Limiter(),
): { heard: Int16Array; gains: number[] } {
  const length = Math.min(...parts.map((part) => part.length));
  const heard = new Int16Array(length);
  const gains: number[] = [];
  const sum = new Int32Array(FRAME);
  for (let at = 0; at + FRAME <= length; at += FRAME) {
    for (let i = 0; i < FRAME; i += 1) sum[i] = parts.reduce((total, part) => total + part[at + i]!, 0);
    limiter.limit(sum, peakOf(sum), heard, at);
    gains.push(limiter.gain);
  }
  return { heard, gains };
}

/** Level of a tone in each 20 ms, in dB. */
const courseOf = (pcm: Int16Array, hertz: number): number[] =>
  Array.from(
    { length: Math.floor(pcm.length / FRAME) },
    (_, i) => 20 * Math.log10(toneLevel(pcm.subarray(i * FRAME, (i + 1) * FRAME), 8000, hertz)),
  );

const clipped = (pcm: Int16Array): number =>
  pcm.filter((sample) => sample >= 32_767 || sample <= -32_767).length;

/** Twenty talkers whose peaks reach full scale. */
const twenty = Array.from({ length: 20 }, (_, i) => {
  const talk = speech(-12, 8000, 6, i + 1);
  const peak = talk.reduce((most, sample) => Math.max(most, Math.abs(sample)), 0);
  return talk.map((sample) => Math.trunc((sample * 32_767) / peak));
});

describe('limiter', () => {
  it('changes nothing that does not exceed full scale', () => {
    const random = seeded(4);
    const loud = Int16Array.from({ length: FRAME * 50 }, () => Math.round(random() * 65_535) - 32_768);
    loud[0] = -32_768;
    loud[FRAME] = 32_767;
    expect(limited([loud]).heard).toEqual(loud);
  });

  it.each([
    ['20 talkers at full scale', twenty],
    [
      'full-scale tones that start at once',
      [sine(400, 8000, 8000, 0, 32_767), sine(401, 8000, 8000, 0, 32_767)],
    ],
    [
      'noise that bursts',
      [noise(0.5, 8000).map((sample, i) => (i % 1600 < 400 ? sample : 0)), noise(0.5, 8000, 2)],
    ],
  ])('clips no sample of %s', (_what, talkers) => {
    const { heard } = limited(talkers);
    expect(clipped(heard)).toBe(0);
    expect(Math.max(...heard)).toBeGreaterThan(16_000);
  });

  it('would be seen to clip without it', () => {
    const sum = new Int16Array(twenty[0]!.length).map((_, i) =>
      Math.max(
        -32_768,
        Math.min(
          32_767,
          twenty.reduce((total, talk) => total + talk[i]!, 0),
        ),
      ),
    );
    expect(clipped(sum)).toBeGreaterThan(1000);
  });

  /**
   * Pumping is what is heard of a gain that follows the syllables. A steady tone among loud talkers, who have nothing at its
   * frequency, shows it: by how many dB its level rises in a second, all rises added up, while they go on.
   */
  describe('does not pump', () => {
    const talkers = twenty.slice(0, 4);
    const tone = sine(3500, 8000, talkers[0]!.length, 0, 6000);
    const pumping = (pcm: Int16Array): number => {
      // The first second finds the level.
      const course = courseOf(pcm, 3500).slice(50);
      const rises = course.slice(1).map((db, i) => Math.max(0, db - course[i]!));
      return rises.reduce((sum, rise) => sum + rise, 0) / (course.length / 50);
    };
    const gated = (): Int16Array => {
      const frames = new Int16Array(tone.length);
      const sum = new Int32Array(FRAME);
      for (let at = 0; at + FRAME <= tone.length; at += FRAME) {
        for (let i = 0; i < FRAME; i += 1)
          sum[i] = talkers.reduce((total, talk) => total + talk[at + i]!, tone[at + i]!);
        new Limiter().limit(sum, peakOf(sum), frames, at);
      }
      return frames;
    };

    it('a steady tone under the speech of others', () => {
      const { heard, gains } = limited([...talkers, tone]);
      expect(Math.min(...gains)).toBeLessThan(0.7);
      expect(pumping(heard)).toBeLessThan(6);
    });

    it('as it would without a memory', () => {
      expect(pumping(gated())).toBeGreaterThan(15);
    });
  });

  it('has its full gain back within 4 s of 20 talkers, and at once where nobody hears it', () => {
    const { gains } = limited(
      [Int16Array.of(...sine(400, 8000, 1600, 0, 32_000), ...sine(400, 8000, 36_000, 0, 2000))].flatMap(
        (pcm) => Array<Int16Array>(10).fill(pcm),
      ),
    );
    expect(Math.min(...gains)).toBeLessThan(0.12);
    expect(gains[10 + 200]).toBe(1);
    const quiet = limited(
      [Int16Array.of(...sine(400, 8000, 1600, 0, 32_000), ...new Int16Array(3200))].flatMap((pcm) =>
        Array<Int16Array>(10).fill(pcm),
      ),
    );
    expect(quiet.gains.at(-1)).toBe(1);
  });

  it('keeps the shape of what it limits: harmonics stay 50 dB under a tone', () => {
    const { heard } = limited([sine(500, 8000, 16_000, 0, 32_000), sine(500, 8000, 16_000, 0, 32_000)]);
    const settled = heard.subarray(8000);
    for (const harmonic of [1000, 1500, 2500]) {
      expect(
        20 * Math.log10(toneLevel(settled, 8000, harmonic) / toneLevel(settled, 8000, 500)),
      ).toBeLessThan(-50);
    }
  });

  it('goes on where another is, without a step', () => {
    const first = new Limiter();
    limited([sine(400, 8000, 1600, 0, 32_000), sine(400, 8000, 1600, 0, 32_000)], first);
    const second = new Limiter();
    second.follow(first);
    const { gains } = limited([sine(400, 8000, 320, 0, 5000)], second);
    expect(gains[0]).toBe(first.gain);
  });
});
