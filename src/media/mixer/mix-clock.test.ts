import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { MixClock } from './mix-clock.js';

describe('mix clock', () => {
  let clock: MixClock;
  let frames: { frame: number; at: number }[];
  let errors: unknown[];
  const listener = {
    onFrame: (frame: number) => {
      frames.push({ frame, at: performance.now() });
    },
  };

  beforeEach(() => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] });
    frames = [];
    errors = [];
    clock = new MixClock({ onError: (error) => errors.push(error) });
  });

  afterEach(() => {
    clock.remove(listener);
    vi.useRealTimers();
  });

  it('gives 50 frames a second from a fixed origin, however late each timer is', () => {
    clock.add(listener);
    // Timers that come 7 ms late would lose a third of the frames if each were scheduled from the last.
    for (let at = 0; at < 10_000; at += 27) vi.advanceTimersByTime(27);
    expect(Math.abs(frames.length - performance.now() / 20)).toBeLessThanOrEqual(1);
    expect(frames.map(({ frame }) => frame)).toEqual(frames.map((_, i) => i + 1));
  });

  it('is never early', () => {
    clock.add(listener);
    vi.advanceTimersByTime(1000);
    for (const { frame, at } of frames) expect(at).toBeGreaterThanOrEqual(frame * 20);
  });

  it('catches up a short stall, and skips the rest of a long one', () => {
    let now = 0;
    const stalled = new MixClock({ now: () => now, onError: (error) => errors.push(error) });
    stalled.add(listener);
    now = 70;
    vi.advanceTimersByTime(20);
    expect(frames.map(({ frame }) => frame)).toEqual([1, 2, 3]);
    frames.length = 0;
    now = 10_070;
    vi.advanceTimersByTime(20);
    expect(frames.map(({ frame }) => frame)).toEqual([499, 500, 501, 502, 503]);
    stalled.remove(listener);
  });

  it('stops with its last listener and goes on counting with the next', () => {
    clock.add(listener);
    vi.advanceTimersByTime(100);
    clock.remove(listener);
    expect(vi.getTimerCount()).toBe(0);
    vi.advanceTimersByTime(900);
    clock.add(listener);
    vi.advanceTimersByTime(20);
    expect(frames.at(-1)!.frame).toBe(51);
    expect(frames).toHaveLength(6);
  });

  it('serves the others when one fails', () => {
    const failing = {
      onFrame: () => {
        throw new Error('broken');
      },
    };
    clock.add(failing);
    clock.add(listener);
    vi.advanceTimersByTime(40);
    expect(frames).toHaveLength(2);
    expect(errors).toHaveLength(2);
    clock.remove(failing);
  });
});
