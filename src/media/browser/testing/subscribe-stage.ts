import { afterEach, beforeEach, expect, vi } from 'vitest';
import { PublishedTrack } from '../../track.js';
import type { MediaKind, SubscribeOffer } from '../../types.js';
import { silentLog } from '../../../shared/testing/index.js';
import { FanoutTable } from '../forward/fanout.js';
import { SubscribeConnection } from '../subscribe/subscribe-connection.js';
import { browserAnswer } from './browser-sdp.js';
import { FakeTransports } from './fake-transports.js';
import { rtpPacket } from './packets.js';

/** No offer, or not this one, is outstanding. */
export const STALE = expect.objectContaining({ code: 'INVALID_STATE' }) as Error;

type Offer = Omit<SubscribeOffer, 'deviceId'>;

const CODECS = {
  opus: { kind: 'audio', clockRate: 48_000, channels: 2 },
  PCMU: { kind: 'audio', clockRate: 8_000, channels: 1 },
  VP8: { kind: 'video', clockRate: 90_000, channels: 1 },
  AV1: { kind: 'video', clockRate: 90_000, channels: 1 },
} as const;

/** A published track, and a function that sends a packet of it. */
export function published(name: keyof typeof CODECS, streamId: string) {
  const { kind, clockRate, channels } = CODECS[name];
  const requestKeyFrame = vi.fn();
  const track = new PublishedTrack({ kind, streamId, codec: { name, clockRate, channels }, requestKeyFrame });
  const push = (sequence = 1): void => track.push(rtpPacket({ sequence }), 12, 19, false);
  return { track, push, requestKeyFrame };
}

/** A subscribe connection over fake transports, whose offers the test answers. */
export function setUp(layout: readonly MediaKind[] = []) {
  const transports = new FakeTransports();
  const offers: Offer[] = [];
  const onGone = vi.fn();
  const onOmitted = vi.fn();
  const onReportIgnored = vi.fn();
  const connection = new SubscribeConnection({
    transports,
    fanouts: new FanoutTable(),
    revision: 100,
    layout,
    onOffer: (offer) => offers.push(offer),
    onOmitted,
    onHeard: () => undefined,
    onAbuse: () => undefined,
    onReportIgnored,
    onGone,
    log: silentLog,
  });
  const turn = async (ms = 0): Promise<void> => {
    await vi.advanceTimersByTimeAsync(ms);
  };
  const answer = (options?: Parameters<typeof browserAnswer>[1]): void =>
    connection.answer(browserAnswer(offers.at(-1)!.sdpOffer, options));
  /** Offer, answer, connected. */
  const settle = async (options?: Parameters<typeof browserAnswer>[1]): Promise<void> => {
    await turn();
    answer(options);
    if (transports.last.state === 'connecting') transports.last.become('connected');
    await turn();
  };
  return { transports, offers, connection, onGone, onOmitted, onReportIgnored, turn, answer, settle };
}

/** Runs the tests of a `describe` with fake timers. */
export function useFakeTimers(): void {
  beforeEach(
    () =>
      void vi.useFakeTimers({
        toFake: ['setTimeout', 'setInterval', 'clearInterval', 'clearTimeout', 'performance'],
      }),
  );
  afterEach(() => void vi.useRealTimers());
}
