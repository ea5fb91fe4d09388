import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import {
  isRtcp,
  rtpMarker,
  rtpPayloadOffset,
  rtpSequence,
  rtpTimestamp,
  timestampDelta,
} from '../../rtp/index.js';
import { PublishedTrack } from '../../track.js';
import { type PacketOptions, rtpPacket } from '../testing/packets.js';
import { Downlink } from './downlink.js';
import { FanoutTable } from './fanout.js';
import { LastPicture } from './last-picture.js';

const FORMATS = { retransmissions: true, telephoneEvents: true };
const KEY = { VP8: '1000', VP9: '8800', H264: '6588', AV1: '180a' } as const;
const DELTA = { VP8: '1001', VP9: 'c800', H264: '419a', AV1: '1032' } as const;
type Codec = keyof typeof KEY;

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

function setUp(codec: Codec = 'VP8') {
  const [requestKeyFrame, ask] = [vi.fn(), vi.fn()];
  const picture = new LastPicture(codec, ask);
  const track = new PublishedTrack({
    kind: 'video',
    streamId: 'stream',
    codec: { name: codec, clockRate: 90_000, channels: 1, ...(codec === 'H264' ? { fmtp: H264 } : {}) },
    requestKeyFrame,
    picture,
  });
  const table = new FanoutTable();
  const subscriber = (formats = FORMATS) => {
    const fanout = table.acquire(track)!;
    const line = { up: true };
    const sent: Buffer[] = [];
    const downlink = new Downlink(fanout, {
      cname: 'stream',
      link: {
        isConnected: true,
        send: (packet) => {
          if (line.up && !isRtcp(packet)) sent.push(Buffer.from(packet));
          return line.up;
        },
      },
    });
    downlink.start(formats);
    return { sent, downlink, line };
  };
  const push = (options: PacketOptions & { hex?: string }): void => {
    const payload = Buffer.from(options.hex ?? DELTA[codec], 'hex');
    const packet = rtpPacket({ payload, marker: true, ...options });
    const offset = rtpPayloadOffset(packet);
    picture.onPacket(packet, offset, packet.length, performance.now());
    track.push(packet, offset, packet.length, false);
  };
  /** A key frame of two packets and so many pictures more, 33 ms apart. */
  const draw = (sequence: number, pictures: number): void => {
    const timestamp = 90_000 + sequence * 2_970;
    push({ sequence, timestamp, hex: KEY[codec], marker: false });
    push({ sequence: sequence + 1, timestamp, hex: '00ff' });
    for (let i = 2; i < pictures + 2; i += 1) {
      vi.advanceTimersByTime(33);
      push({ sequence: (sequence + i) & 0xffff, timestamp: timestamp + (i - 1) * 2_970 });
    }
  };
  return { picture, ask, requestKeyFrame, subscriber, push, draw, table };
}

const H264 = 'level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f';
const payloads = (packets: readonly Buffer[]): string[] =>
  packets.map((packet) => packet.toString('hex', 20));
const numbers = (packets: readonly Buffer[]): number[] => packets.map(rtpSequence);
const range = (from: number, count: number): number[] =>
  Array.from({ length: count }, (_, i) => (from + i) & 0xffff);

describe('a picture that stands still', () => {
  it.each(['VP8', 'VP9', 'H264', 'AV1'] as const)(
    'goes to who subscribes later, before what comes then: %s',
    (codec) => {
      const { subscriber, draw, push, requestKeyFrame } = setUp(codec);
      draw(100, 50);
      vi.advanceTimersByTime(4_000);
      const { sent } = subscriber();
      expect(requestKeyFrame).toHaveBeenCalledOnce();
      vi.advanceTimersByTime(499);
      expect(sent).toEqual([]);
      vi.advanceTimersByTime(1_000);
      expect(numbers(sent)).toEqual(range(100, 52));
      expect(payloads(sent)).toEqual([KEY[codec], '00ff', ...Array<string>(50).fill(DELTA[codec])]);
      expect(sent.slice(0, 3).map(rtpMarker)).toEqual([false, true, true]);
      // In their order, but faster than they were drawn: only the last one matters.
      expect(rtpTimestamp(sent[0]!)).toBe(rtpTimestamp(sent[1]!));
      expect(timestampDelta(rtpTimestamp(sent[51]!), rtpTimestamp(sent[1]!))).toBeLessThan(45_000);
      push({ sequence: 152, timestamp: 90_000 + 100 * 2_970 + 50 * 2_970 + 5.5 * 90_000 });
      expect(numbers(sent.slice(-1))).toEqual([152]);
      const steps = sent
        .slice(2)
        .map((packet, i) => timestampDelta(rtpTimestamp(packet), rtpTimestamp(sent[i + 1]!)));
      expect(Math.min(...steps)).toBeGreaterThan(0);
    },
  );

  it('is not replayed while the publisher sends', () => {
    const { subscriber, draw } = setUp();
    draw(1, 10);
    const { sent } = subscriber();
    vi.advanceTimersByTime(300);
    draw(13, 1);
    vi.advanceTimersByTime(10_000);
    expect(numbers(sent)).toEqual([13, 14, 15]);
  });

  it('is numbered after what the subscriber was sent, and later packets are numbered after it', () => {
    const { subscriber, draw, push } = setUp();
    const { sent, downlink } = subscriber();
    const other = subscriber();
    draw(65_530, 3);
    vi.advanceTimersByTime(2_000);
    downlink.wantPicture();
    vi.advanceTimersByTime(600);
    expect(numbers(sent)).toEqual([...range(65_530, 5), ...range(65_535, 5)]);
    // A late packet from before the replay is not sent.
    push({ sequence: 65_533, timestamp: 90_000 + 65_532 * 2_970 });
    expect(sent).toHaveLength(10);
    push({ sequence: 65_535, timestamp: 90_000 + 65_530 * 2_970 + 300_000, hex: '10ff' });
    expect(numbers(sent.slice(-1))).toEqual([4]);
    expect(numbers(other.sent)).toEqual([...range(65_530, 5), 65_533, 65_535]);
    for (const [i, packet] of sent.slice(1).entries())
      if (i !== 0)
        expect(timestampDelta(rtpTimestamp(packet), rtpTimestamp(sent[i]!))).toBeGreaterThanOrEqual(0);

    // It asks for lost packets by its own numbers.
    const osn = (packet: Buffer): number => packet.readUInt16BE(12);
    downlink.retransmit(65_535, 10_000);
    downlink.retransmit(4, 10_000);
    expect(sent.slice(-2).map(osn)).toEqual([65_535, 4]);
    expect(sent.slice(-2).map((packet) => packet.toString('hex', 14))).toEqual(['1000', '10ff']);
  });

  it('repeats lost packets by their subscriber’s numbers where that takes no retransmissions', () => {
    const { subscriber, draw, push } = setUp();
    const { sent, downlink } = subscriber({ ...FORMATS, retransmissions: false });
    draw(1, 1);
    vi.advanceTimersByTime(2_000);
    downlink.wantPicture();
    vi.advanceTimersByTime(600);
    push({ sequence: 4, timestamp: 900_000 });
    downlink.retransmit(7, 10_000);
    expect(numbers(sent)).toEqual([1, 2, 3, 4, 5, 6, 7, 7]);
  });

  it('is dropped for a new picture that begins during its replay', () => {
    const { subscriber, draw } = setUp();
    draw(1, 60);
    vi.advanceTimersByTime(2_000);
    const { sent } = subscriber();
    vi.advanceTimersByTime(511);
    expect(sent.length).toBeLessThan(30);
    draw(63, 1);
    vi.advanceTimersByTime(5_000);
    expect(numbers(sent)).toEqual(range(1, sent.length));
    expect(payloads(sent.slice(-3))).toEqual(['1000', '00ff', '1001']);
  });

  it('is sent to its end at once when the publisher sends more of it', () => {
    const { subscriber, draw, push } = setUp();
    draw(1, 60);
    vi.advanceTimersByTime(2_000);
    const { sent } = subscriber();
    vi.advanceTimersByTime(511);
    push({ sequence: 63, timestamp: 900_000 });
    vi.advanceTimersByTime(5_000);
    expect(numbers(sent)).toEqual(range(1, 63));
  });

  it('is replayed twice at most, and again once the publisher has sent', () => {
    const { subscriber, draw } = setUp();
    draw(1, 1);
    vi.advanceTimersByTime(2_000);
    const { sent, downlink } = subscriber();
    for (let i = 0; i < 100; i += 1) {
      downlink.wantPicture();
      vi.advanceTimersByTime(300);
    }
    expect(sent).toHaveLength(6);
    draw(4, 1);
    for (let i = 0; i < 100; i += 1) {
      downlink.wantPicture();
      vi.advanceTimersByTime(300);
    }
    expect(sent).toHaveLength(15);
  });

  it('waits for a transport, and stops with its subscriber', () => {
    const { subscriber, draw } = setUp();
    draw(1, 100);
    vi.advanceTimersByTime(2_000);
    const { sent, downlink, line } = subscriber();
    line.up = false;
    vi.advanceTimersByTime(600);
    line.up = true;
    vi.advanceTimersByTime(600);
    expect(sent).toEqual([]);
    downlink.wantPicture();
    vi.advanceTimersByTime(511);
    const reached = sent.length;
    expect(reached).toBeGreaterThan(0);
    downlink.close();
    vi.advanceTimersByTime(600);
    expect(sent).toHaveLength(reached);
  });

  it('is replayed only if it is complete', () => {
    const { subscriber, draw, push, picture } = setUp();
    draw(1, 3);
    push({ sequence: 8, timestamp: 900_000 });
    vi.advanceTimersByTime(2_000);
    const { sent, downlink } = subscriber();
    vi.advanceTimersByTime(600);
    expect([picture.count, sent.length]).toEqual([0, 0]);
    // Lost and repeated: no longer missing.
    for (const sequence of [7, 6]) push({ sequence, timestamp: 800_000 });
    sent.length = 0;
    vi.advanceTimersByTime(5_000);
    downlink.wantPicture();
    vi.advanceTimersByTime(5_000);
    expect(picture.count).toBe(8);
    expect(payloads(sent.slice(0, 1))).toEqual(['1000']);
  });

  it('begins with the first packet of its key frame, even if that was lost and comes last', () => {
    const { draw, push, picture } = setUp();
    draw(1, 3);
    push({ sequence: 7, timestamp: 900_000, hex: '00aa', marker: false });
    push({ sequence: 8, timestamp: 900_000, hex: '00bb' });
    push({ sequence: 6, timestamp: 900_000, hex: '10cc', marker: false });
    expect(picture.count).toBe(3);
    expect([0, 1, 2].map((i) => picture.payload(i).toString('hex'))).toEqual(['10cc', '00aa', '00bb']);
  });

  it('begins with the first of several units and layers of one picture', () => {
    const { push, picture } = setUp('H264');
    for (const [i, hex] of ['6742', '68ce', '6588', '6588'].entries())
      push({ sequence: i + 1, timestamp: 9, hex });
    expect(picture.count).toBe(4);
  });

  it('is bounded in packets and bytes; its publisher is asked for another key frame if it has paused before', () => {
    for (const length of [2, 1_400]) {
      const { push, picture, ask } = setUp();
      const payload = Buffer.alloc(length, 0x11);
      push({ sequence: 0, timestamp: 1, hex: '1000' });
      let most = 0;
      let sequence = 1;
      for (; sequence < 1_100; sequence += 1) {
        push({ sequence, timestamp: sequence * 3_000, payload });
        most = Math.max(most, picture.count);
      }
      expect(most).toBe(length === 2 ? 1_024 : 749);
      expect(picture.count).toBe(0);
      expect(ask).not.toHaveBeenCalled();
      vi.advanceTimersByTime(5_000);
      push({ sequence, timestamp: 9_000_000, payload });
      expect(ask).toHaveBeenCalledOnce();
      push({ sequence: sequence + 1, timestamp: 9_003_000, hex: '1000' });
      expect(picture.count).toBe(1);
    }
  });

  it('keeps nothing of a source that the publisher has left', () => {
    const { draw, push, picture } = setUp();
    draw(1, 3);
    push({ sequence: 6, timestamp: 900_000, ssrc: 2 });
    expect(picture.count).toBe(0);
  });
});
