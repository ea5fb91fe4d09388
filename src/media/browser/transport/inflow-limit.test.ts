import { expect, it } from 'vitest';
import { InflowLimit } from './inflow-limit.js';

const RATES = { messages: { burst: 3, perSecond: 2 }, bytes: { burst: 100, perSecond: 50 } };

it('lets a burst of messages through, then so many a second', () => {
  const limit = new InflowLimit(RATES);
  expect([0, 0, 0].map((now) => limit.admits(1, now))).toEqual([true, true, true]);
  expect(limit.admits(1, 500)).toBe(true);
  expect(limit.admits(1, 501)).toBe(false);
});

it('counts bytes too', () => {
  const limit = new InflowLimit(RATES);
  expect(limit.admits(100, 0)).toBe(true);
  expect(limit.admits(50, 1_000)).toBe(true);
  expect(limit.admits(51, 2_000)).toBe(false);
});

it('never saves up more than a burst', () => {
  const limit = new InflowLimit(RATES);
  limit.admits(0, 0);
  expect([0, 0, 0, 0].map(() => limit.admits(1, 1e9))).toEqual([true, true, true, false]);
});
