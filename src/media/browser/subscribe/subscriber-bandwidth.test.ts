import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { SubscriberBandwidth } from './subscriber-bandwidth.js';

/** One second of sending at a bit rate, with reports at its end. */
function second(bandwidth: SubscriberBandwidth, bitrate: number, estimate?: number, loss?: number): void {
  bandwidth.onSent(bitrate / 8);
  vi.advanceTimersByTime(1_000);
  if (loss !== undefined) bandwidth.onLoss(loss);
  if (estimate !== undefined) bandwidth.onEstimate(estimate);
}

describe('the bandwidth of a subscriber', () => {
  const onKeyFrameDue = vi.fn();
  let bandwidth: SubscriberBandwidth;
  beforeEach(() => {
    vi.useFakeTimers();
    onKeyFrameDue.mockClear();
    bandwidth = new SubscriberBandwidth(onKeyFrameDue);
  });
  afterEach(() => {
    bandwidth.stop();
    vi.useRealTimers();
  });

  it('is enough until the browser complains', () => {
    second(bandwidth, 1e6, 1.2e6);
    second(bandwidth, 1e6, 0.95e6);
    expect(bandwidth.share).toBe(Infinity);
    second(bandwidth, 1e6, 0.8e6);
    expect(bandwidth.share).toBeCloseTo(0.8);
  });

  it('is less than what is sent when much of it gets lost, not when a little or a single burst does', () => {
    second(bandwidth, 1e6);
    bandwidth.onLoss(0.05);
    bandwidth.onLoss(0.4);
    expect(bandwidth.share).toBe(Infinity);
    for (let i = 0; i < 20; i += 1) bandwidth.onLoss(0.4);
    expect(bandwidth.share).toBeCloseTo(0.8);
  });

  it('is lossy when it loses some packets but has room for all', () => {
    second(bandwidth, 1e6);
    expect(bandwidth.lossy).toBe(false);
    for (let i = 0; i < 20; i += 1) bandwidth.onLoss(0.05);
    expect(bandwidth.lossy).toBe(true);
    for (let i = 0; i < 20; i += 1) bandwidth.onLoss(0.4);
    expect(bandwidth.lossy).toBe(false);
  });

  it('grows back without complaints', () => {
    second(bandwidth, 1e6, 0.8e6);
    for (let i = 0; i < 5; i += 1) second(bandwidth, 0.8e6);
    expect(bandwidth.share).toBeGreaterThan(1);
    expect(bandwidth.share).toBeLessThan(2);
    for (let i = 0; i < 20; i += 1) second(bandwidth, 0.8e6);
    expect(bandwidth.share).toBe(Infinity);
  });

  it('gets key frames only while it stays far too small, and a try now and then', () => {
    for (let i = 0; i < 7; i += 1) second(bandwidth, 1e6, 0.3e6, 0.6);
    expect(bandwidth.thinned).toBe(true);
    for (let i = 0; i < 7; i += 1) second(bandwidth, 0.1e6);
    expect(bandwidth.thinned).toBe(true);
    expect(onKeyFrameDue).toHaveBeenCalledTimes(3);
    second(bandwidth, 0.1e6);
    expect([bandwidth.thinned, bandwidth.share]).toEqual([false, Infinity]);
    for (let i = 0; i < 7; i += 1) second(bandwidth, 1e6, 0.3e6, 0.6);
    expect(bandwidth.thinned).toBe(true);
    for (let i = 0; i < 15; i += 1) second(bandwidth, 0.1e6);
    expect(bandwidth.thinned).toBe(true);
    for (let i = 0; i < 5; i += 1) second(bandwidth, 0.1e6);
    expect(bandwidth.thinned).toBe(false);
  });

  it('is not thinned for a low estimate alone, as browsers give it after little was sent', () => {
    for (let i = 0; i < 20; i += 1) second(bandwidth, 1e6, 0.3e6, 0.05);
    expect(bandwidth.thinned).toBe(false);
  });

  it('is not thinned when the publisher comes down in time', () => {
    second(bandwidth, 1e6, 0.3e6);
    second(bandwidth, 1e6, 0.3e6);
    for (let i = 0; i < 10; i += 1) second(bandwidth, 0.3e6, 0.4e6);
    expect(bandwidth.thinned).toBe(false);
  });
});
