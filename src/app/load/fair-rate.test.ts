import { describe, expect, it } from 'vitest';
import { FairRate } from './admission.js';

/** Asks at an even rate for each source. @returns how many of each were admitted in the last second */
function ask(rate: FairRate, perSecond: Record<string, number>, seconds: number): Record<string, number> {
  const taken: Record<string, number> = {};
  for (let ms = 0; ms < seconds * 1000; ms += 1) {
    for (const [source, count] of Object.entries(perSecond)) {
      const due = Math.floor(((ms + 1) * count) / 1000) - Math.floor((ms * count) / 1000);
      for (let i = 0; i < due; i += 1) {
        const last = ms >= (seconds - 1) * 1000;
        if (rate.take(source, ms) && last) taken[source] = (taken[source] ?? 0) + 1;
      }
    }
  }
  return taken;
}

describe('fair rate', () => {
  it('admits a second’s worth at once, and its rate in the long run', () => {
    const rate = new FairRate(10, 0);
    const atOnce = Array.from({ length: 30 }, () => rate.take('a', 0)).filter(Boolean);
    expect(atOnce).toHaveLength(10);
    expect(ask(new FairRate(10, 0), { a: 500 }, 10)['a']).toBe(10);
  });

  it('gives a single source everything', () => {
    expect(ask(new FairRate(100, 0), { a: 100 }, 5)['a']).toBeGreaterThan(95);
  });

  it('keeps one source from taking the shares of others', () => {
    const taken = ask(new FairRate(100, 0), { flood: 5000, carrier: 60, other: 20 }, 5);
    expect(taken['carrier']).toBeGreaterThan(25);
    expect(taken['other']).toBeGreaterThan(15);
    expect(taken['flood']).toBeLessThan(55);
  });

  it('gives a source that asks for little its share at once, though a flood has taken everything', () => {
    for (const at of [1, 400, 999, 1_000, 1_500, 2_001]) {
      const rate = new FairRate(10, 0);
      for (let ms = 0; ms <= at; ms += 1) rate.take('flood', ms);
      const polite = Array.from({ length: 5 }, () => rate.take('polite', at));
      expect(polite, `after ${at} ms`).toEqual([true, true, true, true, true]);
      expect(rate.take('polite', at)).toBe(false);
    }
  });

  it('takes what it lent from the next second, and lends nothing to a flood', () => {
    const rate = new FairRate(10, 0);
    const taken = { flood: 0, polite: 0 };
    for (let ms = 0; ms < 60_000; ms += 1) {
      for (let i = 0; i < 5; i += 1) if (rate.take('flood', ms)) taken.flood += 1;
      // Three calls together, every other second.
      if (ms % 2_000 === 700) for (let i = 0; i < 3; i += 1) if (rate.take('polite', ms)) taken.polite += 1;
    }
    expect(taken.polite).toBe(90);
    expect(taken.flood + taken.polite).toBeLessThanOrEqual(610);
  });

  it('lends no more than a second’s worth, however many sources come', () => {
    const rate = new FairRate(10, 0);
    let taken = 0;
    for (let i = 0; i < 500; i += 1) if (rate.take(`source ${i}`, 0)) taken += 1;
    expect(taken).toBeLessThanOrEqual(20);
  });

  it('admits some of many when there are more sources than places', () => {
    const rate = new FairRate(2, 0);
    const taken = ['a', 'b', 'c', 'd', 'e', 'f'].map((source) => rate.take(source, 0));
    // Half of them are lent by the next second.
    expect(taken).toEqual([true, true, true, true, false, false]);
    expect(rate.take('e', 1100)).toBe(true);
    expect(rate.take('c', 2100)).toBe(true);
  });

  it('counts at most a thousand sources separately', () => {
    const rate = new FairRate(5000, 0);
    for (let i = 0; i < 3000; i += 1) rate.take(`source ${i}`, 0);
    expect(rate.size).toBeLessThanOrEqual(1001);
  });
});
