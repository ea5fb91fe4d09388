import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { PublishedTrack } from '../../track.js';
import type { MediaKind } from '../../types.js';
import { OfferExchange, SubscribeLayout } from './layout.js';

const track = (kind: MediaKind): PublishedTrack =>
  new PublishedTrack({ kind, streamId: 's', codec: { name: 'opus', clockRate: 48_000, channels: 2 } });

describe('subscribe layout', () => {
  it('uses a free m-line of the kind again, under the same mid', () => {
    const layout = new SubscribeLayout();
    const [a, v, b] = [track('audio'), track('video'), track('audio')];
    expect(layout.assign([a, v])).toEqual({ changed: true, left: [] });
    layout.assign([v]);
    layout.assign([v, b]);
    expect(layout.slots.map(({ mid, track: placed }) => [mid, placed])).toEqual([
      ['0', b],
      ['1', v],
    ]);
  });

  it('starts from the m-lines that the browser has', () => {
    const layout = new SubscribeLayout(['audio', 'video', 'audio']);
    const video = track('video');
    layout.assign([video]);
    expect(layout.kinds).toEqual(['audio', 'video', 'audio']);
    expect(layout.slots[1]!.track).toBe(video);
  });

  it('gives a refused m-line another mid before it is used again', () => {
    const layout = new SubscribeLayout();
    const refused = track('video');
    layout.assign([refused]);
    layout.refuse(layout.slots[0]!);
    const mid = layout.slots[0]!.mid;
    expect(mid).not.toBe('0');
    layout.assign([track('video')]);
    expect(layout.slots.map((slot) => slot.mid)).toEqual([mid]);
  });

  it('keeps the first of the bundle first for as long as its m-line lives', () => {
    const layout = new SubscribeLayout();
    layout.assign([track('audio'), track('video'), track('audio')]);
    layout.refuse(layout.slots[1]!);
    expect(layout.bundle).toEqual(['0', '2', '1.1']);
    layout.refuse(layout.slots[0]!);
    expect(layout.bundle).toEqual(['2', '1.1', '0.2']);
    layout.withdraw();
    expect(layout.bundle).toEqual([]);
    layout.assign([track('video')]);
    expect(layout.bundle).toEqual(['3']);
  });

  it('says when nothing changed', () => {
    const layout = new SubscribeLayout();
    const tracks = [track('audio'), track('audio')];
    layout.assign(tracks);
    expect(layout.assign([...tracks].reverse()).changed).toBe(false);
  });

  it('is bounded', () => {
    const { left } = new SubscribeLayout().assign(Array.from({ length: 130 }, () => track('audio')));
    expect(left).toHaveLength(10);
  });

  it('holds exactly the wanted tracks after any history, and never moves or drops an m-line', () => {
    const pool = Array.from({ length: 8 }, (_, i) => track(i % 2 === 0 ? 'audio' : 'video'));
    fc.assert(
      fc.property(fc.array(fc.subarray(pool), { maxLength: 20 }), (history) => {
        const layout = new SubscribeLayout();
        for (const wanted of history) {
          const before = layout.slots.map(({ kind, track: placed }) => ({ kind, placed }));
          layout.assign(wanted);
          const placed = layout.slots.flatMap((slot) => slot.track ?? []);
          expect(new Set(placed)).toEqual(new Set(wanted));
          expect(placed).toHaveLength(wanted.length);
          for (const [index, { kind, placed: old }] of before.entries()) {
            expect(layout.slots[index]!.kind).toBe(kind);
            if (old && wanted.includes(old)) expect(layout.slots[index]!.track).toBe(old);
          }
          for (const slot of layout.slots) if (slot.track) expect(slot.track.kind).toBe(slot.kind);
        }
      }),
    );
  });
});

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

  it('ignores an abandoned offer', async () => {
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
