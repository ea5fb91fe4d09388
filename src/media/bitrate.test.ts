import { describe, expect, it, vi } from 'vitest';
import { bitrateCap, combineLimits, PublishedTrack } from './track.js';

describe('the bit rate asked of a publisher', () => {
  it('is unlimited while its subscribers can take everything', () => {
    expect(bitrateCap([])).toBe(Infinity);
    expect(bitrateCap([Infinity, Infinity])).toBe(Infinity);
  });

  it('is what the only subscriber can take', () => {
    expect(bitrateCap([500_000])).toBe(500_000);
  });

  it('does not come down for one bad network among others', () => {
    expect(bitrateCap([120_000, Infinity])).toBe(Infinity);
    expect(bitrateCap([Infinity, 120_000, Infinity, 800_000])).toBe(Infinity);
  });

  it('comes down when at least half cannot take it', () => {
    expect(bitrateCap([120_000, 800_000, 600_000])).toBe(600_000);
  });

  it('is never too low for a picture', () => {
    expect(bitrateCap([1_000])).toBe(100_000);
  });
});

describe('the limits of subscribers on several hosts', () => {
  it('count alike, wherever the subscribers are', () => {
    const limitBitrate = vi.fn();
    const codec = { name: 'VP8', clockRate: 90_000, channels: 1 };
    const track = new PublishedTrack({ kind: 'video', streamId: 's', codec, limitBitrate });
    const asked = (): unknown => limitBitrate.mock.lastCall?.[0];
    const [here, there] = [{}, {}];
    track.limitBitrate(here, { bitsPerSecond: [300_000], thinned: false });
    expect(asked()).toBe(300_000);
    track.limitBitrate(there, { bitsPerSecond: [500_000, 800_000], thinned: false });
    expect(asked()).toBe(500_000);
    track.limitBitrate(here, { bitsPerSecond: [Infinity, Infinity], thinned: false });
    expect(asked()).toBe(Infinity);
    track.limitBitrate(here, undefined);
    expect(asked()).toBe(800_000);
    track.limitBitrate(there, undefined);
    expect(asked()).toBe(Infinity);
  });

  it('of those who get only key frames count when nobody gets more', () => {
    const thinned = { bitsPerSecond: [120_000], thinned: true };
    expect(combineLimits([thinned, { bitsPerSecond: [900_000], thinned: false }])).toEqual({
      bitsPerSecond: [900_000],
      thinned: false,
    });
    expect(combineLimits([thinned, { bitsPerSecond: [], thinned: false }])).toEqual(thinned);
    expect(combineLimits([])).toEqual({ bitsPerSecond: [], thinned: true });
  });
});
