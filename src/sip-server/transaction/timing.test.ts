import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { TransactionTimeouts } from './timing.js';

beforeEach(() => {
  vi.useFakeTimers();
});

afterEach(() => {
  vi.useRealTimers();
});

describe('waiting for 64*T1', () => {
  function start() {
    const over: string[] = [];
    return { over, timeouts: new TransactionTimeouts<string>((waiting) => over.push(waiting)) };
  }

  it('is over for each after its own time, with one timer for all', () => {
    const { over, timeouts } = start();
    timeouts.begin('a');
    vi.advanceTimersByTime(10_000);
    timeouts.begin('b');
    expect(vi.getTimerCount()).toBe(1);
    vi.advanceTimersByTime(21_999);
    expect(over).toEqual([]);
    vi.advanceTimersByTime(1);
    expect(over).toEqual(['a']);
    vi.advanceTimersByTime(10_000);
    expect(over).toEqual(['a', 'b']);
    expect(vi.getTimerCount()).toBe(0);
  });

  it('is over together for those that began together, a little late rather than early', () => {
    const { over, timeouts } = start();
    timeouts.begin('a');
    vi.advanceTimersByTime(1);
    timeouts.begin('b');
    vi.advanceTimersByTime(50);
    timeouts.begin('c');
    vi.advanceTimersByTime(31_999);
    expect(over).toEqual(['a']);
    vi.advanceTimersByTime(49);
    expect(over).toEqual(['a']);
    vi.advanceTimersByTime(1);
    expect(over).toEqual(['a', 'b', 'c']);
  });

  it('begins anew when it is begun again', () => {
    const { over, timeouts } = start();
    timeouts.begin('a');
    vi.advanceTimersByTime(31_000);
    timeouts.begin('a');
    vi.advanceTimersByTime(31_999);
    expect(over).toEqual([]);
    vi.advanceTimersByTime(1);
    expect(over).toEqual(['a']);
  });

  it('is never over for what was forgotten, and leaves no timer', () => {
    const { over, timeouts } = start();
    timeouts.begin('a');
    timeouts.forget('a');
    timeouts.forget('b');
    expect(vi.getTimerCount()).toBe(0);
    vi.advanceTimersByTime(40_000);
    expect(over).toEqual([]);
  });
});
