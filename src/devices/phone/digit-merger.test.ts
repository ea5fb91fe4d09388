import { describe, expect, it } from 'vitest';
import { DigitMerger, type DigitWay } from './dialog/dtmf-info.js';

/** What is told of reports: each a way, a digit and when it comes, in ms. */
function told(...reports: readonly (readonly [way: DigitWay, digit: string, at: number])[]): string {
  let now = 0;
  const merger = new DigitMerger(() => now);
  return reports
    .filter(([way, digit, at]) => {
      now = at;
      return merger.isNew(way, digit);
    })
    .map(([, digit]) => digit)
    .join('');
}

describe('key presses that are reported both ways', () => {
  it('count once', () => {
    expect(told(['rtp', '1', 0], ['info', '1', 200], ['info', '2', 900], ['rtp', '2', 1000])).toBe('12');
  });

  it('count once when each INFO waits for the answer to the one before (linphone)', () => {
    const presses = Array.from('5550123456789');
    const events = presses.map((digit, i) => ['rtp', digit, i * 100] as const);
    const infos = presses.map((digit, i) => ['info', digit, 1600 + i * 500] as const);
    const all = [...events, ...infos].sort(([, , a], [, , b]) => a - b);
    expect(told(...all)).toBe('5550123456789');
  });

  it('are as many as were made: each report belongs to one press', () => {
    expect(told(['rtp', '5', 0], ['rtp', '5', 300], ['info', '5', 400], ['info', '5', 2900])).toBe('55');
    expect(told(['info', '5', 0], ['info', '5', 100], ['rtp', '5', 200])).toBe('55');
  });

  it('do not hold back later ones of the other way', () => {
    expect(told(['info', '5', 0], ['rtp', '5', 1500])).toBe('55');
    expect(told(['rtp', '5', 0], ['info', '5', 10_000])).toBe('55');
  });
});
