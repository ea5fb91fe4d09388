import { describe, expect, it, vi } from 'vitest';
import {
  rtpMarker,
  rtpPayloadOffset,
  rtpPayloadType,
  rtpSequence,
  rtpSsrc,
  rtpTimestamp,
} from '../../rtp/index.js';
import { PublishedTrack, type TrackCodec } from '../../track.js';
import { type PacketOptions, rtpPacket } from '../testing/packets.js';
import { Downlink } from './downlink.js';
import { FanoutTable } from './fanout.js';

const OPUS: TrackCodec = { name: 'opus', clockRate: 48_000, channels: 2 };
const VP8: TrackCodec = { name: 'VP8', clockRate: 90_000, channels: 1 };
const ALL = { retransmissions: true, telephoneEvents: true };

function setUp(codec: TrackCodec = OPUS, kind: 'audio' | 'video' = 'audio') {
  const requestKeyFrame = vi.fn();
  const track = new PublishedTrack({ kind, streamId: 'stream', codec, requestKeyFrame });
  const table = new FanoutTable();
  const fanout = table.acquire(track)!;
  const subscriber = () => {
    const bandwidth = {
      limit: Infinity,
      thinned: false,
      lossy: false,
      onSent: vi.fn(),
      mayRepeat: () => true,
    };
    const sent: Buffer[] = [];
    const downlink = new Downlink(fanout, {
      cname: 'stream',
      link: { isConnected: true, send: (packet) => sent.push(Buffer.from(packet)) > 0 },
      bandwidth,
    });
    return { sent, downlink, bandwidth };
  };
  const push = (options: PacketOptions, telephoneEvent = false): void => {
    const packet = rtpPacket(options);
    track.push(packet, rtpPayloadOffset(packet), packet.length, telephoneEvent);
  };
  return { track, table, fanout, subscriber, push, requestKeyFrame };
}

describe('a track on its way to subscribers', () => {
  it('gets our SSRC and payload type and loses the publisher’s header extensions', () => {
    const { fanout, subscriber, push } = setUp();
    const { sent, downlink } = subscriber();
    downlink.start(ALL);
    push({ payloadType: 109, sequence: 5, timestamp: 77, marker: true, extensions: { 4: Buffer.from('1') } });
    const packet = sent[0]!;
    expect(packet[0]).toBe(0x80);
    expect([rtpSsrc(packet), rtpPayloadType(packet), rtpMarker(packet)]).toEqual([fanout.ssrc, 111, true]);
    expect([rtpSequence(packet), rtpTimestamp(packet)]).toEqual([5, 77]);
    expect(packet.subarray(12).toString()).toBe('payload');
  });

  it('leaves the publisher’s packet as it was', () => {
    const { track, subscriber } = setUp();
    subscriber().downlink.start(ALL);
    const packet = rtpPacket({ payloadType: 109 });
    const before = Buffer.from(packet);
    track.push(packet, 12, packet.length, false);
    expect(packet).toEqual(before);
  });

  it('goes to a subscriber only from its answer to its end', () => {
    const { subscriber, push } = setUp();
    const { sent, downlink } = subscriber();
    push({ sequence: 1 });
    downlink.start(ALL);
    push({ sequence: 2 });
    downlink.close();
    push({ sequence: 3 });
    expect(sent.map(rtpSequence)).toEqual([2]);
  });

  it('leaves out audio packets without a payload, by which Chromium probes the network', () => {
    const { subscriber, push } = setUp();
    const { sent, downlink } = subscriber();
    downlink.start(ALL);
    push({ sequence: 1, timestamp: 960 });
    for (const sequence of [2, 3, 4]) push({ sequence, timestamp: 960, payload: new Uint8Array() });
    push({ sequence: 5, timestamp: 1920 });
    expect(sent.map(rtpSequence)).toEqual([1, 2]);
    expect(sent.map(rtpTimestamp)).toEqual([960, 1920]);
  });

  it('is silent for subscribers while there is comfort noise, which to them is no loss', () => {
    const { track, subscriber, push } = setUp({ name: 'PCMU', clockRate: 8000, channels: 1 });
    const { sent, downlink } = subscriber();
    downlink.start(ALL);
    push({ sequence: 1, timestamp: 0 });
    const noise = rtpPacket({ payloadType: 13, sequence: 2, timestamp: 160, payload: Buffer.of(60) });
    track.pushComfortNoise(noise, 12, 13);
    push({ sequence: 2, timestamp: 1600, marker: true });
    expect(sent.map(rtpPayloadType)).toEqual([0, 0]);
    expect(sent.map(rtpSequence)).toEqual([1, 2]);
    expect(sent.map(rtpTimestamp)).toEqual([0, 1600]);
    expect(rtpMarker(sent[1]!)).toBe(true);
  });

  it('carries telephone events to those who take them', () => {
    const { subscriber, push } = setUp();
    const [takes, refuses] = [subscriber(), subscriber()];
    takes.downlink.start(ALL);
    refuses.downlink.start({ ...ALL, telephoneEvents: false });
    push({ payloadType: 101 }, true);
    expect(takes.sent.map(rtpPayloadType)).toEqual([110]);
    expect(refuses.sent).toEqual([]);
  });

  it('goes on without a jump when the publisher starts over with another SSRC', () => {
    const { subscriber, push } = setUp();
    const { sent, downlink } = subscriber();
    downlink.start(ALL);
    push({ ssrc: 1, sequence: 65535, timestamp: 0xffffff00 });
    push({ ssrc: 2, sequence: 100, timestamp: 5000 });
    push({ ssrc: 2, sequence: 101, timestamp: 5960 });
    expect(sent.map(rtpSequence)).toEqual([65535, 0, 1]);
    const step = (rtpTimestamp(sent[1]!) - 0xffffff00) >>> 0;
    expect(step).toBeGreaterThan(0);
    expect(step).toBeLessThan(48_000);
    expect((rtpTimestamp(sent[2]!) - rtpTimestamp(sent[1]!)) >>> 0).toBe(960);
  });

  it('drops packets larger than any that a browser or phone sends', () => {
    const { subscriber, push } = setUp();
    const { sent, downlink } = subscriber();
    downlink.start(ALL);
    push({ payload: Buffer.alloc(5000) });
    expect(sent).toEqual([]);
  });

  it('keeps the publisher’s clock in sender reports, counting what we sent', () => {
    const { track, fanout, subscriber, push } = setUp();
    const { sent, downlink } = subscriber();
    downlink.start(ALL);
    track.setClock({ ntpSeconds: 1, ntpFraction: 2, rtpTimestamp: 3 });
    expect(sent).toEqual([]);
    push({ payload: Buffer.alloc(10) });
    push({ payload: Buffer.alloc(10), sequence: 2, timestamp: 1920 });
    track.setClock({ ntpSeconds: 10, ntpFraction: 20, rtpTimestamp: 4800 });
    const report = sent[2]!;
    expect(report[1]).toBe(200);
    const fields = [4, 8, 12, 16, 20, 24].map((at) => report.readUInt32BE(at));
    expect(fields).toEqual([fanout.ssrc, 10, 20, 4800, 2, 20]);
    expect(report.includes('stream')).toBe(true);
  });

  it('reports by our clock when the publisher tells none, such as a phone', () => {
    vi.useFakeTimers();
    const { subscriber, push, track, table, fanout } = setUp({ name: 'PCMU', clockRate: 8000, channels: 1 });
    const { sent, downlink } = subscriber();
    downlink.start(ALL);
    push({ timestamp: 800 });
    // A change of the system's clock must not separate picture and sound.
    vi.setSystemTime(new Date('2030-01-01T00:00:00.500Z'));
    vi.advanceTimersByTime(5_000);
    const report = sent[1]!;
    const sinceEpochMs = performance.timeOrigin + performance.now();
    // Seconds since 1900 (RFC 3550 section 4).
    const reportedMs =
      (report.readUInt32BE(8) - 2_208_988_800) * 1000 + report.readUInt32BE(12) / 4_294_967.296;
    expect(report[1]).toBe(200);
    expect(reportedMs).toBeCloseTo(sinceEpochMs, 0);
    expect(report.readUInt32BE(16)).toBe(800 + 5 * 8000);
    track.setClock({ ntpSeconds: 1, ntpFraction: 2, rtpTimestamp: 3 });
    sent.length = 0;
    vi.advanceTimersByTime(20_000);
    expect(sent).toEqual([]);
    table.release(fanout);
    expect(vi.getTimerCount()).toBe(0);
    vi.useRealTimers();
  });

  it('asks for a key frame when a subscriber starts', () => {
    const { subscriber, requestKeyFrame } = setUp(VP8, 'video');
    const { downlink } = subscriber();
    expect(requestKeyFrame).not.toHaveBeenCalled();
    downlink.start(ALL);
    downlink.start(ALL);
    expect(requestKeyFrame).toHaveBeenCalledTimes(1);
  });

  it('repeats lost video packets as retransmissions, not twice at once', () => {
    const { fanout, subscriber, push } = setUp(VP8, 'video');
    const { sent, downlink } = subscriber();
    downlink.start(ALL);
    push({ sequence: 7, marker: true });
    downlink.retransmit(7, 1000);
    downlink.retransmit(7, 1005);
    downlink.retransmit(8, 1005);
    expect(sent).toHaveLength(2);
    const repeated = sent[1]!;
    expect([rtpSsrc(repeated), rtpPayloadType(repeated), rtpMarker(repeated)]).toEqual([
      fanout.rtxSsrc,
      97,
      true,
    ]);
    expect(repeated.readUInt16BE(repeated.length - 9)).toBe(7);
    expect(repeated.subarray(-7).toString()).toBe('payload');
    downlink.retransmit(7, 1030);
    expect(sent).toHaveLength(3);
    expect(rtpSequence(sent[2]!)).toBe((rtpSequence(repeated) + 1) & 0xffff);
  });

  it('repeats them as they were where the subscriber takes no retransmissions', () => {
    const { subscriber, push } = setUp(VP8, 'video');
    const { sent, downlink } = subscriber();
    downlink.start({ ...ALL, retransmissions: false });
    push({ sequence: 7 });
    downlink.retransmit(7, 1000);
    expect(sent[1]).toEqual(sent[0]);
  });

  it('repeats twice what a lossy network may lose again', () => {
    const { subscriber, push } = setUp(VP8, 'video');
    const { sent, downlink, bandwidth } = subscriber();
    downlink.start(ALL);
    push({ sequence: 7 });
    bandwidth.lossy = true;
    downlink.retransmit(7, 1000);
    expect(sent.slice(1).map(rtpPayloadType)).toEqual([97, 97]);
    expect(rtpSequence(sent[2]!)).not.toBe(rtpSequence(sent[1]!));
  });

  it('repeats a bounded number each second', () => {
    const { subscriber, push } = setUp(VP8, 'video');
    const { sent, downlink } = subscriber();
    downlink.start(ALL);
    for (let sequence = 0; sequence < 1000; sequence += 1) push({ sequence });
    for (let sequence = 0; sequence < 1000; sequence += 1) downlink.retransmit(sequence, 1);
    expect(sent).toHaveLength(1500);
  });

  it('repeats nothing that a subscriber’s network has no room for', () => {
    const { subscriber, push } = setUp(VP8, 'video');
    const { sent, downlink, bandwidth } = subscriber();
    downlink.start(ALL);
    push({ sequence: 7 });
    bandwidth.mayRepeat = () => false;
    downlink.retransmit(7, 1000);
    expect(sent).toHaveLength(1);
  });

  it('does not repeat what is long gone', () => {
    const { subscriber, push } = setUp(VP8, 'video');
    const { sent, downlink } = subscriber();
    downlink.start(ALL);
    for (let sequence = 0; sequence <= 1024; sequence += 1) push({ sequence });
    downlink.retransmit(0, 1);
    expect(sent).toHaveLength(1025);
  });

  it('carries our send time in video, the publisher’s extensions never', () => {
    const { subscriber, push } = setUp(VP8, 'video');
    const { sent, downlink } = subscriber();
    downlink.start(ALL);
    push({ extensions: { 5: Buffer.from('secret') } });
    expect(rtpPayloadOffset(sent[0]!)).toBe(20);
    expect(sent[0]!.subarray(12, 17).toString('hex')).toBe('bede000132');
    expect(sent[0]!.subarray(20).toString()).toBe('payload');
  });

  it('goes to a thinned subscriber as key frames, and whole again from a key frame on', () => {
    const { subscriber, push, requestKeyFrame } = setUp(VP8, 'video');
    const { sent, downlink, bandwidth } = subscriber();
    const [key, delta] = [Buffer.of(0x10, 0x00), Buffer.of(0x10, 0x01)];
    const rest = Buffer.of(0x00, 0xff);
    downlink.start(ALL);
    push({ sequence: 1, timestamp: 1, payload: key });
    bandwidth.thinned = true;
    push({ sequence: 2, timestamp: 2, payload: delta });
    push({ sequence: 3, timestamp: 3, payload: key });
    push({ sequence: 4, timestamp: 3, payload: rest });
    push({ sequence: 5, timestamp: 4, payload: delta });
    downlink.retransmit(5, 0);
    expect(downlink.full).toBe(false);
    bandwidth.thinned = false;
    requestKeyFrame.mockClear();
    push({ sequence: 6, timestamp: 5, payload: delta });
    expect(requestKeyFrame).toHaveBeenCalled();
    push({ sequence: 7, timestamp: 6, payload: key });
    push({ sequence: 8, timestamp: 7, payload: delta });
    expect(sent.map(rtpSequence)).toEqual([1, 3, 4, 7, 8]);
    expect(bandwidth.onSent).toHaveBeenCalledTimes(5);
  });

  it('is shared by its subscribers and let go with the last', () => {
    const { table, track, fanout } = setUp();
    expect(table.acquire(track)).toBe(fanout);
    table.release(fanout);
    expect(track.sinkCount).toBe(1);
    table.release(fanout);
    expect(track.sinkCount).toBe(0);
    expect(table.acquire(track)).not.toBe(fanout);
  });

  it('does not exist for a codec that we do not forward', () => {
    const track = new PublishedTrack({
      kind: 'audio',
      streamId: 's',
      codec: { name: 'G729', clockRate: 8000, channels: 1 },
    });
    expect(new FanoutTable().acquire(track)).toBeUndefined();
  });
});
