import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { Liveness } from './liveness.js';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

function setUp(expected = true) {
  const onSilent = vi.fn();
  const onQuiet = vi.fn();
  const onHeardAgain = vi.fn();
  const state = { expected };
  const liveness = new Liveness({ expected: () => state.expected, onSilent, onQuiet, onHeardAgain });
  return { liveness, onSilent, onQuiet, onHeardAgain, state };
}

it('does not wait for a browser that was never heard', () => {
  const { liveness, onSilent } = setUp();
  vi.advanceTimersByTime(60_000);
  expect(onSilent).not.toHaveBeenCalled();
  expect(liveness.silentMs).toBeUndefined();
  liveness.stop();
});

it('reports a silence once, and the next one after another sign', () => {
  const { liveness, onSilent } = setUp();
  liveness.heard();
  vi.advanceTimersByTime(9_000);
  liveness.heard();
  vi.advanceTimersByTime(9_000);
  expect(onSilent).not.toHaveBeenCalled();
  vi.advanceTimersByTime(60_000);
  expect(onSilent).toHaveBeenCalledTimes(1);
  expect(liveness.silentMs).toBe(69_000);
  liveness.heard();
  vi.advanceTimersByTime(11_000);
  expect(onSilent).toHaveBeenCalledTimes(2);
  liveness.stop();
});

it('ignores the silence of a browser that has nothing to send, until it is suspected to be gone', () => {
  const { liveness, onSilent } = setUp(false);
  liveness.heard();
  liveness.suspect();
  vi.advanceTimersByTime(30_000);
  expect(onSilent).not.toHaveBeenCalled();
  liveness.suspect();
  expect(onSilent).toHaveBeenCalledTimes(1);
  liveness.stop();
});

it('reports a silence of four seconds, expected or not, and the first sign after it', () => {
  const { liveness, onQuiet, onHeardAgain } = setUp(false);
  vi.advanceTimersByTime(60_000);
  expect(onQuiet).not.toHaveBeenCalled();
  liveness.heard();
  vi.advanceTimersByTime(3_000);
  liveness.heard();
  expect(onHeardAgain).toHaveBeenCalledTimes(1);
  vi.advanceTimersByTime(3_999);
  expect(onQuiet).not.toHaveBeenCalled();
  vi.advanceTimersByTime(60_000);
  expect(onQuiet.mock.calls).toEqual([[4_000]]);
  liveness.heard();
  expect(onHeardAgain).toHaveBeenCalledTimes(2);
  vi.advanceTimersByTime(5_000);
  expect(onQuiet).toHaveBeenCalledTimes(2);
  liveness.stop();
});
