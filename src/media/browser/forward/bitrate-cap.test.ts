import { describe, expect, it } from 'vitest';
import { bitrateCap } from './fanout.js';

describe('the bit rate asked of a publisher', () => {
  it('is any while its subscribers take all', () => {
    expect(bitrateCap([])).toBe(Infinity);
    expect(bitrateCap([Infinity, Infinity])).toBe(Infinity);
  });

  it('is what the only subscriber takes', () => {
    expect(bitrateCap([500_000])).toBe(500_000);
  });

  it('does not come down for one bad network among others', () => {
    expect(bitrateCap([120_000, Infinity])).toBe(Infinity);
    expect(bitrateCap([Infinity, 120_000, Infinity, 800_000])).toBe(Infinity);
  });

  it('comes down when at least half cannot take it', () => {
    expect(bitrateCap([120_000, 800_000, 600_000])).toBe(600_000);
  });

  it('leaves a picture', () => {
    expect(bitrateCap([1_000])).toBe(100_000);
  });
});
