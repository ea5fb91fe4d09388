import { describe, expect, it, vi } from 'vitest';
import { LastPicture } from '../browser/index.js';
import { rtpPacket } from '../rtp/testing/packets.js';
import { type ClockReading, PublishedTrack } from '../track.js';
import { listen, opus, Streams, useTwoEnds } from './testing/two-ends.js';

const VP8 = { name: 'VP8', clockRate: 90_000, channels: 1 };
const CLOCK: ClockReading = { ntpSeconds: 0xf0000001, ntpFraction: 7, rtpTimestamp: 0xfffffff0 };

const push = (track: PublishedTrack, sequence: number): void =>
  track.push(rtpPacket({ sequence, timestamp: 960 * sequence }), 12, 172, false);

describe('a pipe between two hosts', () => {
  const stage = useTwoEnds(() => new Streams());

  it('carries the packets of a stream whole, once however many receive it, and the clock', async () => {
    const track = opus();
    track.setClock(CLOCK);
    stage.left.publish('s', track);
    stage.listening.send(['s']);
    const remote = await stage.right.until('s');
    expect([remote.kind, remote.streamId, remote.codec]).toEqual([track.kind, 's', track.codec]);
    expect(remote.clock).toEqual(CLOCK);
    const [heard, alsoHeard] = [listen(remote), listen(remote)];
    const padded = Buffer.concat([rtpPacket({ sequence: 2, timestamp: 9 }), Buffer.of(0, 0, 3)]);
    track.push(rtpPacket({ sequence: 1, timestamp: 8 }), 12, 172, false);
    track.push(padded, 12, 172, false);
    track.push(rtpPacket({ sequence: 3, timestamp: 10, payload: Buffer.of(1, 2, 3, 4) }), 12, 16, true);
    await vi.waitUntil(() => heard.length === 3);
    expect(heard.map(({ from, to, telephoneEvent }) => [from, to, telephoneEvent])).toEqual([
      [12, 172, false],
      [12, 172, false],
      [12, 16, true],
    ]);
    expect(heard[1]!.packet).toEqual(padded);
    expect(alsoHeard).toEqual(heard);
    expect(stage.listening.counters()).toMatchObject({ packetsSent: 3, packetsDropped: 0 });
    expect(stage.connecting.counters()).toMatchObject({ packetsReceived: 3, packetsSent: 0 });
  });

  it('carries comfort noise, as such', async () => {
    const track = opus();
    stage.left.publish('s', track);
    stage.listening.send(['s']);
    const remote = await stage.right.until('s');
    const heard = listen(remote);
    const noise: (readonly [number, number])[] = [];
    remote.attach({
      onPacket: () => undefined,
      onComfortNoise: (packet, from, to) => noise.push([packet[from]!, to - from]),
    });
    track.pushComfortNoise(rtpPacket({ sequence: 1, timestamp: 8, payload: Buffer.of(55, 1) }), 12, 14);
    push(track, 1);
    await vi.waitUntil(() => heard.length === 1);
    expect(noise).toEqual([[55, 2]]);
  });

  it('carries streams both ways at once', async () => {
    const [there, back] = [opus('there'), opus('back')];
    stage.left.publish('there', there);
    stage.right.publish('back', back);
    stage.listening.send(['there']);
    stage.back.send(['back']);
    const heardThere = listen(await stage.right.until('there'));
    const heardBack = listen(await stage.left.until('back'));
    for (let i = 0; i < 100; i += 1) {
      push(there, i);
      push(back, i);
    }
    await vi.waitUntil(() => heardThere.length === 100 && heardBack.length === 100);
    for (const heard of [heardThere, heardBack])
      expect(heard.map(({ packet }) => packet.readUInt16BE(2))).toEqual([...Array(100).keys()]);
  });

  it('sends no stream that is not wanted, is not there, or is another host’s itself', async () => {
    stage.left.publish('known', opus('known'));
    stage.left.publish('other', opus('other'));
    stage.right.publish('back', opus('back'));
    stage.back.send(['back']);
    await stage.left.until('back');
    stage.listening.send(['known', 'unknown', 'back']);
    await stage.right.until('known');
    expect(['other', 'unknown'].map((id) => stage.right.get(id))).toEqual([undefined, undefined]);
    expect(stage.right.local('back')).toBeDefined();
    expect(stage.left.local('back')).toBeUndefined();
  });

  it('follows by itself what becomes of the streams', async () => {
    stage.listening.send(['s', 't']);
    const [first, second] = [opus(), opus()];
    stage.left.publish('s', first);
    const before = await stage.right.until('s');
    // Another codec: another track of the same stream, without a moment in which the stream is not there.
    const ended = vi.fn(() => expect(stage.right.get('s')?.tracks[0]).not.toBe(before));
    before.attach({ onPacket: () => undefined, onTrackEnded: ended });
    stage.left.publish('s', second);
    const after = await stage.right.until('s', before);
    await vi.waitUntil(() => before.ended);
    expect(ended).toHaveBeenCalledOnce();
    expect(first.sinkCount).toBe(0);
    const heard = listen(after);
    push(second, 1);
    await vi.waitUntil(() => heard.length === 1);
    stage.left.publish('t', opus('t'));
    await stage.right.until('t');
    stage.left.publish('s');
    await stage.right.untilGone('s');
    expect(after.ended).toBe(true);
    stage.listening.send([]);
    await stage.right.untilGone('t');
    expect(stage.left.get('t')?.tracks[0]?.sinkCount).toBe(0);
  });

  it('keeps a track whose stream gets another one', async () => {
    const [voice, camera] = [opus(), new PublishedTrack({ kind: 'video', streamId: 's', codec: VP8 })];
    stage.left.publish('s', voice);
    stage.listening.send(['s']);
    const remote = await stage.right.until('s');
    stage.left.publish('s', voice, camera);
    await vi.waitUntil(() => stage.right.get('s')?.tracks.length === 2);
    expect(stage.right.get('s')?.tracks[0]).toBe(remote);
    stage.left.publish('s', camera);
    await vi.waitUntil(() => remote.ended);
    expect(stage.right.get('s')?.tracks.map(({ kind }) => kind)).toEqual(['video']);
  });

  it('leaves a stream alone that is back on another host before its end is noticed', async () => {
    stage.left.publish('s', opus());
    stage.listening.send(['s']);
    const remote = await stage.right.until('s');
    const restored = opus();
    stage.right.publish('s', restored);
    stage.wire.cut();
    await vi.waitUntil(() => remote.ended);
    expect(stage.right.local('s')?.tracks).toEqual([restored]);
  });

  it('brings back requests for key frames, and what subscribers can take', async () => {
    const [requestKeyFrame, limitBitrate] = [vi.fn(), vi.fn()];
    const options = { kind: 'video', streamId: 's', codec: VP8, requestKeyFrame, limitBitrate } as const;
    const camera = new PublishedTrack(options);
    stage.left.publish('s', camera);
    stage.listening.send(['s']);
    const remote = await stage.right.until('s');
    remote.requestKeyFrame();
    await vi.waitUntil(() => requestKeyFrame.mock.calls.length > 0);
    const asked = (): unknown => limitBitrate.mock.lastCall?.[0];
    camera.limitBitrate({}, { bitsPerSecond: [900_000], thinned: false });
    const [some, others] = [{}, {}];
    remote.limitBitrate(some, { bitsPerSecond: [300_000, Infinity], thinned: false });
    remote.limitBitrate(others, { bitsPerSecond: [200_000, 250_000], thinned: false });
    // The median of all five, on both hosts.
    await vi.waitUntil(() => asked() === 300_000);
    remote.limitBitrate(some, undefined);
    remote.limitBitrate(others, { bitsPerSecond: [Infinity, Infinity], thinned: false });
    await vi.waitUntil(() => asked() === Infinity);
    remote.limitBitrate(others, { bitsPerSecond: [120_000, 130_000], thinned: false });
    await vi.waitUntil(() => asked() === 130_000);
    stage.listening.send([]);
    await vi.waitUntil(() => asked() === 900_000);
  });

  it('brings the kept picture of a video that stands still, when a subscriber there wants one', async () => {
    const picture = new LastPicture('VP8', () => undefined);
    const camera = new PublishedTrack({ kind: 'video', streamId: 's', codec: VP8, picture });
    const send = (sequence: number, timestamp: number, payload: Buffer, at: number): void => {
      const packet = rtpPacket({ sequence, timestamp, payload, ssrc: 77, marker: sequence % 2 === 1 });
      picture.onPacket(packet, 12, packet.length, at);
      camera.push(packet, 12, packet.length, false);
    };
    const still = performance.now() - 60_000;
    const key = Buffer.of(0x10, 0, 1, 2);
    const delta = Buffer.of(0x10, 1, 5, 6);
    send(65_534, 1000, key, still);
    send(65_535, 1000, Buffer.of(0, 7, 8), still);
    stage.left.publish('s', camera);
    stage.listening.send(['s']);
    const remote = await stage.right.until('s');
    // It moved once more while nobody wanted a picture.
    send(0, 4000, delta, still + 1000);
    const heard = listen(remote);
    remote.requestKeyFrame();
    await vi.waitUntil(() => remote.picture!.count === 3);
    const kept = remote.picture!;
    expect([0, 1, 2].map((i) => kept.payload(i))).toEqual([key, Buffer.of(0, 7, 8), delta]);
    expect([0, 1, 2].map((i) => kept.timestamp(i))).toEqual([1000, 1000, 4000]);
    expect([0, 1, 2].map((i) => kept.marker(i))).toEqual([false, true, false]);
    expect(kept.newestSequence).toBe(0);
    // It is played by the replay, not as new packets.
    expect(heard.map(({ packet }) => packet.readUInt16BE(2))).toEqual([0]);
    const sent = stage.listening.counters().packetsSent;
    remote.requestKeyFrame();
    send(1, 8000, delta, performance.now());
    await vi.waitUntil(() => kept.count === 4);
    expect(stage.listening.counters().packetsSent).toBe(sent + 1);
  });

  it('ends the streams when the connection is lost, and brings them back when it is made again', async () => {
    const track = opus();
    stage.left.publish('s', track);
    stage.listening.send(['s']);
    for (let times = 2; times < 4; times += 1) {
      const remote = await stage.right.until('s');
      const gone = vi.fn();
      remote.attach({ onPacket: () => undefined, onTrackEnded: gone });
      stage.wire.cut();
      await vi.waitUntil(() => gone.mock.calls.length === 1);
      await stage.connected(times);
      const again = await stage.right.until('s', remote);
      const heard = listen(again);
      push(track, times);
      await vi.waitUntil(() => heard.length === 1);
      expect(track.sinkCount).toBe(1);
    }
  });

  it('gives back what its closed end held', async () => {
    const track = opus();
    stage.left.publish('s', track);
    stage.listening.send(['s']);
    const remote = await stage.right.until('s');
    stage.listening.close();
    await stage.right.untilGone('s');
    expect([remote.ended, track.sinkCount, track.ended]).toEqual([true, 0, false]);
  });

  describe('whose other end does not read', () => {
    it('drops packets and counts them, keeps what is no packet, and goes on with a key frame', async () => {
      const requestKeyFrame = vi.fn();
      const camera = new PublishedTrack({ kind: 'video', streamId: 's', codec: VP8, requestKeyFrame });
      stage.left.publish('s', camera);
      stage.listening.send(['s']);
      const heard = listen(await stage.right.until('s'));
      stage.wire.stall();
      const payload = Buffer.alloc(1200);
      let sequence = 0;
      const burst = async (): Promise<void> => {
        for (let i = 0; i < 100; i += 1, sequence += 1)
          camera.push(rtpPacket({ sequence, timestamp: 0, payload }), 12, 1212, false);
        await new Promise((resolve) => setImmediate(resolve));
      };
      while (stage.listening.counters().packetsDropped < 1000) await burst();
      const { packetsSent } = stage.listening.counters();
      // Nothing more is taken, so that what waits is bounded: 1 MiB, a record, and the buffers of the system.
      expect(packetsSent * 1200).toBeLessThan(4 * 1024 * 1024);
      await burst();
      expect(stage.listening.counters().packetsSent).toBe(packetsSent);
      stage.left.publish('late', opus('late'));
      stage.listening.send(['s', 'late']);
      expect(requestKeyFrame).not.toHaveBeenCalled();
      stage.wire.resume();
      await stage.right.until('late');
      await vi.waitUntil(() => heard.length === packetsSent);
      await burst();
      await vi.waitUntil(() => heard.length > packetsSent);
      expect(requestKeyFrame).toHaveBeenCalledOnce();
      expect(stage.listening.counters().connections).toBe(1);
    });
  });
});
