import { describe, expect, it } from 'vitest';
import { bitrateCap } from './fanout.js';

const RATE = 1_000_000;

describe('the bit rate asked of a publisher', () => {
  it('is any while its subscribers take all', () => {
    expect(bitrateCap([], RATE)).toBe(Infinity);
    expect(bitrateCap([Infinity, Infinity], RATE)).toBe(Infinity);
  });

  it('is what the only subscriber takes', () => {
    expect(bitrateCap([0.5], RATE)).toBe(500_000);
  });

  it('does not come down for one bad network among others', () => {
    expect(bitrateCap([0.1, Infinity], RATE)).toBe(Infinity);
    expect(bitrateCap([Infinity, 0.1, Infinity, 0.8], RATE)).toBe(Infinity);
  });

  it('comes down when at least half cannot take it', () => {
    expect(bitrateCap([0.1, 0.8, 0.6], RATE)).toBe(600_000);
  });

  it('leaves a picture', () => {
    expect(bitrateCap([0.001], RATE)).toBe(100_000);
  });
});
