import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { SubscriberBandwidth } from './subscriber-bandwidth.js';

type Video = ReturnType<SubscriberBandwidth['add']>;

describe('the bandwidth of a subscriber', () => {
  const onKeyFrameDue = vi.fn();
  let bandwidth: SubscriberBandwidth;
  let video: Video;

  /** One second of sending at a bit rate, with reports at its end. */
  function second(bitrate: number, estimate?: number, loss?: number): void {
    video.onSent(bitrate / 8);
    vi.advanceTimersByTime(1_000);
    if (loss !== undefined) bandwidth.onLoss(loss);
    if (estimate !== undefined) bandwidth.onEstimate(estimate);
  }

  beforeEach(() => {
    vi.useFakeTimers();
    onKeyFrameDue.mockClear();
    bandwidth = new SubscriberBandwidth(onKeyFrameDue);
    video = bandwidth.add({});
  });
  afterEach(() => {
    bandwidth.stop();
    vi.useRealTimers();
  });

  it('is enough until the browser complains', () => {
    second(1e6, 1.2e6);
    second(1e6, 0.95e6);
    expect(video.limit).toBe(Infinity);
    second(1e6, 0.8e6);
    expect(video.limit).toBe(0.8e6);
  });

  it('is less than what is sent when much of it gets lost, not when a little or a single burst does', () => {
    second(1e6);
    bandwidth.onLoss(0.05);
    bandwidth.onLoss(0.4);
    expect(video.limit).toBe(Infinity);
    for (let i = 0; i < 20; i += 1) bandwidth.onLoss(0.4);
    expect(video.limit).toBeCloseTo(0.8e6, -4);
  });

  it('is lossy when it loses some packets but has room for all', () => {
    second(1e6);
    expect(bandwidth.lossy).toBe(false);
    for (let i = 0; i < 20; i += 1) bandwidth.onLoss(0.05);
    expect(bandwidth.lossy).toBe(true);
    for (let i = 0; i < 20; i += 1) bandwidth.onLoss(0.4);
    expect(bandwidth.lossy).toBe(false);
  });

  it('is shared out by what each video is sent', () => {
    const [screen, still] = [bandwidth.add({}), bandwidth.add({})];
    screen.onSent(0.25e6 / 8);
    second(0.75e6, 0.4e6);
    expect([video.limit, screen.limit, still.limit]).toEqual([0.3e6, 0.1e6, 0]);
  });

  it('is not forgotten when a picture stands still for a moment', () => {
    second(1e6, 0.3e6);
    second(0.3e6);
    second(0);
    expect(video.limit).toBe(0.3e6);
  });

  it('has room to repeat a part of what is sent, less of it when it is limited, and a little always', () => {
    const repeated = (): number => {
      let bytes = 0;
      while (bandwidth.mayRepeat(1_000)) bytes += 1_000;
      return bytes;
    };
    expect(repeated()).toBe(6_000);
    second(0.8e6);
    expect(repeated()).toBe(50_000);
    expect(repeated()).toBe(0);
    second(0.8e6, 0.4e6);
    expect(repeated()).toBe(7_000);
    for (let i = 0; i < 5; i += 1) second(0.4e6);
    second(0.4e6, 0.2e6);
    expect(repeated()).toBe(6_000);
  });

  it('grows back without complaints', () => {
    second(1e6, 0.8e6);
    for (let i = 0; i < 5; i += 1) second(0.8e6);
    expect(video.limit).toBeGreaterThan(0.8e6);
    expect(video.limit).toBeLessThan(1.6e6);
    for (let i = 0; i < 20; i += 1) second(0.8e6);
    expect(video.limit).toBe(Infinity);
  });

  it('gets key frames only while it stays far too small, and a try now and then', () => {
    for (let i = 0; i < 7; i += 1) second(1e6, 0.3e6, 0.6);
    expect(bandwidth.thinned).toBe(true);
    for (let i = 0; i < 7; i += 1) second(0.1e6);
    expect(bandwidth.thinned).toBe(true);
    expect(onKeyFrameDue).toHaveBeenCalledTimes(3);
    second(0.1e6);
    expect([bandwidth.thinned, video.limit]).toEqual([false, 0.3e6]);
    for (let i = 0; i < 7; i += 1) second(1e6, 0.3e6, 0.6);
    expect(bandwidth.thinned).toBe(true);
    for (let i = 0; i < 15; i += 1) second(0.1e6);
    expect(bandwidth.thinned).toBe(true);
    for (let i = 0; i < 5; i += 1) second(0.1e6);
    expect(bandwidth.thinned).toBe(false);
  });

  it('is not thinned for a low estimate alone, as browsers give it after little was sent', () => {
    for (let i = 0; i < 20; i += 1) second(1e6, 0.3e6, 0.05);
    expect(bandwidth.thinned).toBe(false);
  });

  it('is not thinned when the publisher comes down in time', () => {
    second(1e6, 0.3e6);
    second(1e6, 0.3e6);
    for (let i = 0; i < 10; i += 1) second(0.3e6, 0.4e6);
    expect(bandwidth.thinned).toBe(false);
  });
});
