import { describe, expect, it } from 'vitest';
import type { SpeechImpairment } from '../codecs/index.js';
import { directionQuality } from './direction-quality.js';

const G711: SpeechImpairment = { scale: 'narrowband', ie: 0, bpl: 25.1 };

describe('the quality of a direction', () => {
  it('leaves out what was not measured', () => {
    expect(directionQuality([])).toEqual({ packets: 0 });
    expect(directionQuality([{ packets: 200, codec: G711 }])).toEqual({ packets: 200 });
    expect(directionQuality([{ packets: 200, jitterMs: Number.NaN }])).toEqual({ packets: 200 });
  });

  it('has no score before a second of audio', () => {
    const quality = (expected: number): object =>
      directionQuality([{ packets: expected, lost: 0, expected, codec: G711 }]);
    expect(quality(49)).toEqual({ packets: 49, lost: 0 });
    expect(quality(50)).toEqual({ packets: 50, lost: 0, mos: 4.41 });
  });

  it('has a score of loss, discard and half of the round trip', () => {
    const stream = { packets: 950, lost: 50, expected: 1000, codec: G711 };
    expect(directionQuality([stream]).mos).toBeCloseTo(3.92, 2);
    expect(directionQuality([{ ...stream, discarded: 50 }]).mos).toBeCloseTo(3.41, 2);
    expect(directionQuality([{ ...stream, lost: 0, roundTripMs: 600 }]).mos).toBeCloseTo(3.72, 2);
  });

  it('adds what streams count, and takes the worst of what they measure', () => {
    const codec: SpeechImpairment = { scale: 'fullband', ie: 16.83, bpl: 10.44, isEstimate: true };
    const quality = directionQuality([
      { packets: 10, lost: 1 },
      { packets: 90, lost: 10, jitterMs: 3.26, roundTripMs: 50.04, expected: 100, codec },
      { packets: 300, lost: 0, discarded: 4, jitterMs: 1, concealedMs: 60, expected: 300, codec: G711 },
    ]);
    const { mos, ...rest } = quality;
    expect(rest).toEqual({
      packets: 400,
      lost: 11,
      discarded: 4,
      jitterMs: 3.3,
      roundTripMs: 50,
      concealedMs: 60,
      mosIsEstimate: true,
    });
    // A quarter of 2.24 and three quarters of 4.31.
    expect(mos).toBeGreaterThan(3.5);
    expect(mos).toBeLessThan(4.1);
  });
});
