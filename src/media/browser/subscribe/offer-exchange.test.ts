import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { OfferExchange } from './layout.js';

describe('offer exchange', () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());

  const turn = async (): Promise<void> => {
    await vi.advanceTimersByTimeAsync(0);
  };

  it('sends the changes of one turn as one offer', async () => {
    const send = vi.fn();
    const exchange = new OfferExchange({ send });
    exchange.want();
    exchange.want();
    expect(send).not.toHaveBeenCalled();
    await turn();
    expect(send).toHaveBeenCalledTimes(1);
    exchange.stop();
  });

  it('never has two outstanding, and sends what came meanwhile as one', async () => {
    const send = vi.fn();
    const exchange = new OfferExchange({ send });
    exchange.want();
    await turn();
    for (let i = 0; i < 5; i += 1) {
      exchange.want();
      await turn();
    }
    expect(send).toHaveBeenCalledTimes(1);
    exchange.answered();
    expect(send).toHaveBeenCalledTimes(2);
    exchange.answered();
    await turn();
    expect(send).toHaveBeenCalledTimes(2);
    expect(exchange.outstanding).toBe(false);
    exchange.stop();
  });

  it('makes an unanswered offer anew, more slowly each time, until an answer comes', async () => {
    const send = vi.fn();
    const exchange = new OfferExchange({ send });
    exchange.want();
    await vi.advanceTimersByTimeAsync(4_999);
    expect(send).toHaveBeenCalledTimes(1);
    await vi.advanceTimersByTimeAsync(1);
    expect(send).toHaveBeenCalledTimes(2);
    await vi.advanceTimersByTimeAsync(5_000 + 10_000 + 20_000 + 30_000 + 30_000);
    expect(send).toHaveBeenCalledTimes(7);
    exchange.answered();
    exchange.want();
    await vi.advanceTimersByTimeAsync(5_000);
    expect(send).toHaveBeenCalledTimes(9);
    exchange.stop();
  });

  it('forgets an abandoned offer', async () => {
    const send = vi.fn();
    const exchange = new OfferExchange({ send });
    expect(exchange.abandon()).toBe(false);
    exchange.want();
    await turn();
    expect(exchange.abandon()).toBe(true);
    await vi.advanceTimersByTimeAsync(60_000);
    expect(send).toHaveBeenCalledTimes(1);
    exchange.want();
    await turn();
    expect(send).toHaveBeenCalledTimes(2);
    exchange.stop();
  });

  it('is silent once stopped', async () => {
    const send = vi.fn();
    const exchange = new OfferExchange({ send });
    exchange.want();
    exchange.stop();
    await vi.advanceTimersByTimeAsync(60_000);
    expect(send).not.toHaveBeenCalled();
  });
});
