import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { SampleRate } from '../codecs/index.js';
import { toneLevel } from '../phone/testing/spectrum.js';
import { ComfortNoise } from './comfort-noise.js';
import { levelDb } from './testing/signals.js';

function played(rate: SampleRate, payload: readonly number[], seconds = 2): Int16Array {
  const noise = new ComfortNoise(rate);
  noise.describe(Uint8Array.from(payload), 0, payload.length);
  const pcm = new Int16Array(rate * seconds);
  // In pieces that do not fit those in which it is made.
  for (let at = 0; at < pcm.length; at += 97) noise.play(pcm, at, Math.min(97, pcm.length - at));
  return pcm;
}

describe.each([8000, 16_000, 24_000, 48_000] as const)('comfort noise at %i Hz', (rate) => {
  it.each([
    [[35], -35],
    [[50], -50],
    [[50, 12, 200], -50],
    [[40, 40, 160, 100], -40],
    // The highest bit is reserved.
    [[0x80 | 45], -45],
    // Louder than any pause of a phone.
    [[0], -30],
  ])('has the level that %j describes', (payload, expected) => {
    expect(Math.abs(levelDb(played(rate, payload), rate / 10) - expected)).toBeLessThan(1);
  });

  it('is silence at -127 dBov', () => {
    expect(played(rate, [127]).every((sample) => sample === 0)).toBe(true);
  });
});

describe('comfort noise', () => {
  it('has the spectrum that its reflection coefficients describe', () => {
    const around = (pcm: Int16Array, hertz: number): number =>
      Array.from({ length: 20 }, (_, i) => toneLevel(pcm, 8000, hertz + 13 * (i - 10)) ** 2).reduce(
        (sum, power) => sum + power,
      );
    const low = played(8000, [35, 20]);
    const high = played(8000, [35, 234]);
    expect(around(low, 300)).toBeGreaterThan(8 * around(low, 3500));
    expect(around(high, 3500)).toBeGreaterThan(8 * around(high, 300));
  });

  it('stays a bounded noise whatever a payload holds', () => {
    const noise = new ComfortNoise(16_000);
    const pcm = new Int16Array(1600);
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (payload) => {
        noise.describe(payload, 0, payload.length);
        noise.play(pcm, 0, pcm.length);
        // A value that is not a number would be 0 from then on.
        expect(levelDb(pcm)).toBeLessThan(-15);
      }),
      { numRuns: 300 },
    );
    noise.describe(Uint8Array.of(40), 0, 1);
    for (let i = 0; i < 10; i += 1) noise.play(pcm, 0, pcm.length);
    expect(Math.abs(levelDb(pcm) + 40)).toBeLessThan(1.5);
  });
});
