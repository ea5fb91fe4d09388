import { describe, expect, it } from 'vitest';
import { SentNumbers } from './sent-numbers.js';

describe('the sequence numbers that were sent', () => {
  const sent = (...sequences: readonly number[]): SentNumbers => {
    const numbers = new SentNumbers();
    for (const sequence of sequences) numbers.add(sequence);
    return numbers;
  };

  it('are told up to the one that a receiver has come to, over the wrap', () => {
    const numbers = sent(65_533, 65_535, 1, 2, 5);
    expect([65_533, 65_535, 0x10001, 0x10002, 0x20005].map((highest) => numbers.until(highest))).toEqual([
      { reached: 1, skipped: 0 },
      { reached: 2, skipped: 1 },
      { reached: 3, skipped: 2 },
      { reached: 4, skipped: 2 },
      { reached: 5, skipped: 4 },
    ]);
  });

  it('count late packets where they belong', () => {
    expect(sent(1, 2, 5, 4).until(5)).toEqual({ reached: 3, skipped: 2 });
    expect(sent(1, 2, 5, 4, 6).until(6)).toEqual({ reached: 5, skipped: 1 });
  });

  it('are all of them for a number that nobody has sent, or long ago', () => {
    const numbers = sent(...Array.from({ length: 1000 }, (_, n) => 2 * n));
    expect(numbers.packets).toBe(1000);
    for (const highest of [3000, 60_000, 1000]) {
      expect(numbers.until(highest)).toEqual({ reached: 1000, skipped: 999 });
    }
    expect(new SentNumbers().until(7)).toEqual({ reached: 0, skipped: 0 });
  });
});
