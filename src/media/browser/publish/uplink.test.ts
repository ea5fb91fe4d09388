import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { isRtcp, writeRtcpReport } from '../../rtp/index.js';
import { browserOffer } from '../testing/browser-sdp.js';
import { FakeTransports } from '../testing/fake-transports.js';
import { rtpPacket } from '../testing/packets.js';
import { PublishConnection } from './publish-connection.js';

/** SSRCs of three layers, and of their retransmissions. */
const [SMALL, MIDDLE, LARGE] = [21, 31, 41];
const CAMERA = {
  kind: 'video',
  mid: '2',
  msid: 'camera',
  ssrc: SMALL,
  rtxSsrc: 22,
  layers: [
    [MIDDLE, 32],
    [LARGE, 42],
  ],
} as const;

const [KEY, DELTA] = [Buffer.of(0x10, 0x00), Buffer.of(0x10, 0x01)];

async function setUp() {
  const transports = new FakeTransports();
  const connection = new PublishConnection({
    transports,
    cname: 'gateway',
    onHeard: () => undefined,
    onAbuse: () => undefined,
    onDigit: () => undefined,
    onSpeaking: () => undefined,
    metersSpeech: () => false,
    inherited: false,
    onStuck: () => undefined,
    onStreams: () => undefined,
  });
  await connection.negotiate({ sdpOffer: browserOffer({ media: [CAMERA] }), allowedKinds: ['video'] });
  transports.last.become('connected');
  const track = connection.streams[0]!.tracks[0]!;
  const forwarded: number[] = [];
  track.attach({ onPacket: (packet) => forwarded.push(packet.readUInt32BE(8)) });
  const sequences = new Map<number, number>();
  const send = (ssrc: number, payload: Buffer): void => {
    const sequence = (sequences.get(ssrc) ?? 100 * ssrc) + 1;
    sequences.set(ssrc, sequence);
    transports.last.handlers.onPacket(rtpPacket({ ssrc, sequence, payloadType: 96, payload }));
  };
  const receive = (packet: Buffer): void => transports.last.handlers.onPacket(packet);
  /** Media SSRCs of the key frame requests since the last call. */
  const keyFramesAsked = (): number[] => {
    const asked = transports.last.sent
      .filter((packet) => isRtcp(packet) && packet[1] === 206 && (packet[0]! & 31) === 1)
      .map((packet) => packet.readUInt32BE(8));
    transports.last.sent.length = 0;
    return asked;
  };
  return { track, forwarded, send, receive, keyFramesAsked };
}

describe('layers that a publisher sends by SSRC', () => {
  beforeEach(
    () =>
      void vi.useFakeTimers({
        toFake: ['setTimeout', 'setInterval', 'clearInterval', 'clearTimeout', 'performance'],
      }),
  );
  afterEach(() => void vi.useRealTimers());

  it('are one picture, the largest, from its first key frame on', async () => {
    const { forwarded, send } = await setUp();
    send(SMALL, KEY);
    send(SMALL, DELTA);
    send(MIDDLE, KEY);
    send(SMALL, DELTA);
    send(LARGE, KEY);
    for (const ssrc of [SMALL, MIDDLE, LARGE]) send(ssrc, DELTA);
    expect(forwarded).toEqual([SMALL, SMALL, MIDDLE, LARGE, LARGE]);
  });

  it('change when the key frame of the larger was lost, by another that is asked for', async () => {
    const { forwarded, send, keyFramesAsked } = await setUp();
    send(SMALL, KEY);
    send(LARGE, DELTA);
    send(SMALL, DELTA);
    expect(keyFramesAsked()).toContain(LARGE);
    send(LARGE, KEY);
    expect(forwarded).toEqual([SMALL, SMALL, LARGE]);
  });

  it('go on with a smaller one when the larger stops, and not for a moment without it', async () => {
    const { forwarded, send, keyFramesAsked } = await setUp();
    send(LARGE, KEY);
    send(MIDDLE, DELTA);
    vi.advanceTimersByTime(900);
    send(LARGE, DELTA);
    send(MIDDLE, DELTA);
    vi.advanceTimersByTime(500);
    send(MIDDLE, KEY);
    expect(forwarded).toEqual([LARGE, LARGE]);
    expect(keyFramesAsked()).toEqual([]);
    vi.advanceTimersByTime(600);
    send(MIDDLE, DELTA);
    expect(keyFramesAsked()).toContain(MIDDLE);
    send(MIDDLE, KEY);
    send(MIDDLE, DELTA);
    expect(forwarded).toEqual([LARGE, LARGE, MIDDLE, MIDDLE]);
    // Nothing is asked of the one that has stopped.
    vi.advanceTimersByTime(1_000);
    keyFramesAsked();
    send(SMALL, DELTA);
    expect(keyFramesAsked()).toEqual([]);
  });

  it('are forwarded as they come when none of the offered SSRCs is sent', async () => {
    const { forwarded, send } = await setUp();
    send(77, KEY);
    send(77, DELTA);
    expect(forwarded).toEqual([77, 77]);
  });

  it('stand still together', async () => {
    const { forwarded, send, keyFramesAsked } = await setUp();
    send(LARGE, KEY);
    vi.advanceTimersByTime(60_000);
    keyFramesAsked();
    for (const ssrc of [SMALL, MIDDLE, LARGE]) send(ssrc, DELTA);
    expect(forwarded).toEqual([LARGE, LARGE]);
    expect(keyFramesAsked()).toEqual([]);
  });

  it('keep retransmissions and clocks apart', async () => {
    const { track, forwarded, send, receive } = await setUp();
    send(LARGE, KEY);
    const repeat = (ssrc: number): Buffer =>
      rtpPacket({ ssrc, payloadType: 97, payload: Buffer.concat([Buffer.of(0, 7), DELTA]) });
    for (const ssrc of [22, 32, 42]) receive(repeat(ssrc));
    expect(forwarded).toEqual([LARGE, LARGE]);
    for (const [i, ssrc] of [LARGE, SMALL].entries()) {
      const sender = { ntpSeconds: 1, ntpFraction: 2, rtpTimestamp: i, packetCount: 1, octetCount: 7 };
      receive(writeRtcpReport({ ssrc, sender, blocks: [], cname: 'browser' }));
    }
    expect(track.clock?.rtpTimestamp).toBe(0);
  });
});
