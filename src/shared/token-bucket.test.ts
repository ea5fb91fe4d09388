import { describe, expect, it } from 'vitest';
import { KeyedBuckets, TokenBucket } from './token-bucket.js';

describe('a token bucket', () => {
  it('gives a burst, then its rate', () => {
    const bucket = new TokenBucket({ burst: 3, perSecond: 2 }, 0);
    expect([0, 0, 0, 0].map((now) => bucket.take(now))).toEqual([true, true, true, false]);
    expect(bucket.take(499)).toBe(false);
    expect(bucket.take(500)).toBe(true);
    expect([60_000, 60_000, 60_000, 60_000].map((now) => bucket.take(now))).toEqual([
      true,
      true,
      true,
      false,
    ]);
  });

  it('takes nothing when there is not enough, and forgives a clock that goes back', () => {
    const bucket = new TokenBucket({ burst: 10, perSecond: 1 }, 1_000);
    expect(bucket.take(1_000, 11)).toBe(false);
    expect(bucket.take(0, 10)).toBe(true);
    expect(bucket.take(0, 1)).toBe(false);
  });

  it('is limited in number when there are very many keys', () => {
    const buckets = new KeyedBuckets({ burst: 1, perSecond: 1 });
    for (let i = 0; i < 25_000; i += 1) buckets.take(`key ${String(i)}`, 0);
    expect(buckets.size).toBe(20_000);
    expect(buckets.take('late', 0)).toBe(false);
    expect(buckets.take('later', 2_000)).toBe(true);
    expect(buckets.size).toBe(1);
  });
});
