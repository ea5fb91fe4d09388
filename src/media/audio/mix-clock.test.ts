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

  describe('held up', () => {
    let now: number;
    let stalled: MixClock;
    beforeEach(() => {
      now = 0;
      stalled = new MixClock({ now: () => now, onError: (error) => errors.push(error) });
      stalled.add(listener);
    });
    afterEach(() => stalled.remove(listener));
    const made = (): number[] => frames.map(({ frame }) => frame);

    it('catches up after a short time, with one frame in each turn of the event loop', () => {
      now = 90;
      vi.advanceTimersByTime(20);
      expect(made()).toEqual([1]);
      vi.advanceTimersByTime(1);
      expect(made()).toEqual([1, 2]);
      vi.advanceTimersByTime(2);
      expect(made()).toEqual([1, 2, 3, 4]);
      vi.advanceTimersByTime(9);
      expect(made(), 'the next is not due').toHaveLength(4);
      expect(stalled.load()).toMatchObject({ mixLatenessMs: 70, framesSkipped: 0 });
    });

    it('skips the rest of a long time, and counts it', () => {
      now = 10_070;
      vi.advanceTimersByTime(30);
      expect(made()).toEqual([500, 501, 502, 503]);
      expect(stalled.load()).toMatchObject({ mixLatenessMs: 10_050, framesSkipped: 499 });
    });

    it('skips frames when there is too much to do, and is never far behind', () => {
      let behind = 0;
      const slow = {
        onFrame: (frame: number) => {
          behind = Math.max(behind, now - frame * 20);
          now += 40;
        },
      };
      stalled.add(slow);
      while (now < 20_000) {
        if (now < 20) now += 1;
        vi.advanceTimersByTime(1);
      }
      stalled.remove(slow);
      // Each frame takes the time of two: half of them are left out.
      expect(frames.length).toBeGreaterThan(480);
      expect(stalled.load().framesSkipped).toBeGreaterThan(480);
      expect(behind).toBeLessThan(100);
      expect(stalled.load().mixLatenessMs).toBeGreaterThanOrEqual(60);
    });

    it('reports its present lateness, forgets it in two seconds, and has none without listeners', () => {
      now = 120;
      expect(stalled.load().mixLatenessMs).toBe(100);
      vi.advanceTimersByTime(30);
      for (; now < 1100; now += 1) vi.advanceTimersByTime(1);
      expect(stalled.load().mixLatenessMs).toBe(100);
      for (; now < 2300; now += 1) vi.advanceTimersByTime(1);
      expect(stalled.load().mixLatenessMs).toBeLessThan(20);
      now += 500;
      expect(stalled.load().mixLatenessMs).toBeGreaterThan(400);
      stalled.remove(listener);
      expect(stalled.load().mixLatenessMs).toBe(0);
    });
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
