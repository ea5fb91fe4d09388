import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import fc from 'fast-check';
import { readRtcpTypes } from '../testing/rtcp.js';
import { readRemb, RtcpCursor, rtpSequence, writeRtcpReport } from '../../rtp/index.js';
import type { PublishedTrack } from '../../track.js';
import { browserOffer } from '../testing/browser-sdp.js';
import type { BrowserOffer, OfferedMediaLine } from '../testing/browser-sdp.js';
import { FakeTransports } from '../testing/fake-transports.js';
import { rtpPacket } from '../testing/packets.js';
import { PublishConnection } from './publish-connection.js';

const MIC: OfferedMediaLine = { kind: 'audio', mid: '1', msid: 'camera', ssrc: 11 };
const CAMERA: OfferedMediaLine = { kind: 'video', mid: '2', msid: 'camera', ssrc: 21, rtxSsrc: 22 };

function setUp({ inherited = false } = {}) {
  const transports = new FakeTransports();
  const onStuck = vi.fn();
  const onStreams = vi.fn();
  const connection = new PublishConnection({
    transports,
    cname: 'gateway',
    onHeard: () => undefined,
    onAbuse: () => undefined,
    onDigit: () => undefined,
    onSpeaking: () => undefined,
    metersSpeech: () => false,
    inherited,
    onStuck,
    onStreams,
  });
  const offer = (description: BrowserOffer): Promise<string> =>
    connection.negotiate({ sdpOffer: browserOffer(description), allowedKinds: ['audio', 'video'] });
  const receive = (packet: Buffer): void => transports.last.handlers.onPacket(packet);
  const track = (index: number): PublishedTrack => connection.streams.flatMap(({ tracks }) => tracks)[index]!;
  return { transports, connection, offer, receive, track, onStuck, onStreams };
}

function rembOf(packet: Buffer): number | undefined {
  const cursor = new RtcpCursor();
  cursor.open(packet);
  cursor.next();
  return readRemb(packet, cursor);
}

/** Collects what a track pushes. */
function listen(track: PublishedTrack) {
  const heard: { sequence: number; payload: string; telephoneEvent: boolean }[] = [];
  track.attach({
    onPacket: (packet, from, to, telephoneEvent) =>
      heard.push({
        sequence: rtpSequence(packet),
        payload: packet.toString('latin1', from, to),
        telephoneEvent,
      }),
  });
  return heard;
}

describe('the publish connection', () => {
  beforeEach(
    () =>
      void vi.useFakeTimers({
        toFake: ['setTimeout', 'setInterval', 'clearInterval', 'clearTimeout', 'performance'],
      }),
  );
  afterEach(() => void vi.useRealTimers());

  it('groups tracks into streams by msid, and keeps one transport for all offers', async () => {
    const { transports, connection, offer } = setUp();
    expect(await offer({})).toContain('m=application 9 ');
    expect(connection.streams).toEqual([]);
    await offer({ media: [MIC, CAMERA, { kind: 'video', mid: '3', msid: 'screen' }] });
    expect(
      connection.streams.map(({ publisherMsid, tracks }) => [publisherMsid, tracks.map(({ kind }) => kind)]),
    ).toEqual([
      ['camera', ['audio', 'video']],
      ['screen', ['video']],
    ]);
    expect(transports.made).toHaveLength(1);
  });

  it('keeps the streams that a later offer has, and ends the others', async () => {
    const { connection, offer, track } = setUp();
    await offer({ media: [MIC, CAMERA] });
    const [before, mic, camera] = [connection.streams[0]!, track(0), track(1)];
    await offer({ media: [MIC, { ...CAMERA, stopped: true }, { kind: 'video', mid: '4', msid: 'screen' }] });
    expect(connection.streams[0]).toMatchObject({ streamId: before.streamId, tracks: [mic] });
    expect([mic.ended, camera.ended]).toEqual([false, true]);
    expect(connection.streams).toHaveLength(2);
  });

  it('publishes anew on a recycled m-line', async () => {
    const { connection, offer, receive, track } = setUp();
    await offer({ media: [MIC] });
    const first = connection.streams[0]!.streamId;
    await offer({ media: [{ ...MIC, stopped: true }] });
    expect(connection.streams).toEqual([]);
    await offer({ media: [{ kind: 'audio', mid: '3', msid: 'again', ssrc: 31 }] });
    expect(connection.streams[0]!.streamId).not.toBe(first);
    const heard = listen(track(0));
    receive(rtpPacket({ ssrc: 31 }));
    expect(heard).toHaveLength(1);
  });

  it('takes a fresh transport for new ICE credentials, under the same streams', async () => {
    const { transports, connection, offer, receive, track } = setUp();
    await offer({ media: [MIC] });
    const [streamId, mic] = [connection.streams[0]!.streamId, track(0)];
    const answer = await offer({ media: [MIC], ufrag: 'efgh' });
    expect(transports.made.map(({ state }) => state)).toEqual(['closed', 'connecting']);
    expect(answer).toContain('a=ice-ufrag:ours2');
    expect(connection.streams[0]!.streamId).toBe(streamId);
    const heard = listen(mic);
    receive(rtpPacket({ ssrc: 11 }));
    expect(heard).toHaveLength(1);
  });

  it('keeps the transport of Firefox, which could not use another, and says so', async () => {
    const { transports, connection, offer, receive, track, onStuck, onStreams } = setUp();
    await offer({ firefox: 0 });
    await offer({ media: [MIC], firefox: 1 });
    transports.last.become('connected');
    const refused = offer({ media: [MIC, { ...CAMERA, msid: 'more' }], ufrag: 'efgh', firefox: 2 });
    await expect(refused).rejects.toMatchObject({
      code: 'INVALID_STATE',
      message: /connect and publish again/,
    });
    expect(onStuck).toHaveBeenCalledOnce();
    expect(transports.made.map(({ state }) => state)).toEqual(['connected']);
    const heard = listen(track(0));
    receive(rtpPacket({ ssrc: 11 }));
    expect(heard).toHaveLength(1);
    // Once that transport is gone, so are the streams.
    expect(onStreams).not.toHaveBeenCalled();
    transports.last.become('failed');
    expect(onStreams).toHaveBeenCalledOnce();
    expect(connection.streams).toEqual([]);
  });

  it('takes streams of Firefox away when it asks for another transport in place of a dead one', async () => {
    const { transports, connection, offer, onStreams } = setUp();
    await offer({ media: [MIC], firefox: 0 });
    transports.last.become('connected');
    transports.last.become('failed');
    await expect(offer({ media: [MIC], ufrag: 'efgh', firefox: 1 })).rejects.toThrow();
    await new Promise((resolve) => setImmediate(resolve));
    expect(onStreams).toHaveBeenCalledOnce();
    expect(connection.streams).toEqual([]);
  });

  it('accepts new connections of Firefox, but none that another gateway had', async () => {
    const { transports, offer, onStuck } = setUp({ inherited: true });
    await expect(offer({ media: [MIC], firefox: 3 })).rejects.toThrow();
    expect(onStuck).toHaveBeenCalledOnce();
    await offer({ media: [MIC], firefox: 0 });
    await offer({ media: [MIC, CAMERA], firefox: 1 });
    expect(transports.made).toHaveLength(1);
  });

  it('takes offers one after the other', async () => {
    const { transports, offer } = setUp();
    const answers = await Promise.all([offer({}), offer({ media: [MIC] }), offer({ media: [MIC, CAMERA] })]);
    expect(transports.made).toHaveLength(1);
    expect(answers.map((sdp) => /^o=- \d+ (\d+)/m.exec(sdp)?.[1])).toEqual(['1', '2', '3']);
  });

  it('takes the next offer after a bad one', async () => {
    const { connection, offer } = setUp();
    await expect(connection.negotiate({ sdpOffer: 'nonsense', allowedKinds: [] })).rejects.toMatchObject({
      code: 'BAD_SDP',
    });
    await expect(offer({ media: [MIC] })).resolves.toContain('m=audio 9 ');
  });

  it('finds the track by MID and by payload type when SSRCs are not declared', async () => {
    const { offer, receive, track } = setUp();
    await offer({
      media: [
        { kind: 'audio', mid: '1', msid: 'a' },
        { kind: 'audio', mid: '2', msid: 'b' },
        { kind: 'video', mid: '3', msid: 'a' },
      ],
    });
    const [a, video, b] = [listen(track(0)), listen(track(1)), listen(track(2))];
    receive(rtpPacket({ ssrc: 7, payload: Buffer.from('?') }));
    receive(rtpPacket({ ssrc: 5, extensions: { 4: Buffer.from('2') }, payload: Buffer.from('b') }));
    receive(rtpPacket({ ssrc: 5, sequence: 2, payload: Buffer.from('b') }));
    receive(rtpPacket({ ssrc: 6, payloadType: 96, payload: Buffer.from('v') }));
    expect([a, b, video].map((heard) => heard.map(({ payload }) => payload).join(''))).toEqual([
      '',
      'bb',
      'v',
    ]);
  });

  it('tells telephone events from audio, and drops other payload types', async () => {
    const { offer, receive, track } = setUp();
    await offer({ media: [MIC] });
    const heard = listen(track(0));
    receive(rtpPacket({ ssrc: 11, sequence: 1 }));
    receive(rtpPacket({ ssrc: 11, sequence: 2, payloadType: 110 }));
    receive(rtpPacket({ ssrc: 11, sequence: 3, payloadType: 0 }));
    expect(heard.map(({ sequence, telephoneEvent }) => [sequence, telephoneEvent])).toEqual([
      [1, false],
      [2, true],
    ]);
  });

  it('asks for lost video packets until they come, and takes retransmissions in their place', async () => {
    const { transports, offer, receive, track } = setUp();
    await offer({ media: [CAMERA] });
    transports.last.become('connected');
    const heard = listen(track(0));
    receive(rtpPacket({ ssrc: 21, payloadType: 96, sequence: 1 }));
    receive(rtpPacket({ ssrc: 21, payloadType: 96, sequence: 4 }));
    vi.advanceTimersByTime(20);
    const nacks = transports.last.sent.filter((packet) => packet[1] === 205);
    expect(nacks.map((packet) => packet.subarray(8).toString('hex'))).toEqual(['0000001500020001']);
    const repeat = (sequence: number): Buffer =>
      Buffer.concat([Buffer.of(0, sequence), Buffer.from('again')]);
    receive(rtpPacket({ ssrc: 22, payloadType: 97, sequence: 90, payload: repeat(2) }));
    receive(rtpPacket({ ssrc: 22, payloadType: 97, sequence: 91, payload: repeat(3) }));
    expect(heard.slice(2)).toEqual([
      { sequence: 2, payload: 'again', telephoneEvent: false },
      { sequence: 3, payload: 'again', telephoneEvent: false },
    ]);
    transports.last.sent.length = 0;
    vi.advanceTimersByTime(900);
    expect(transports.last.sent.filter((packet) => packet[1] === 205 && (packet[0]! & 31) === 1)).toEqual([]);
  });

  it('asks for a key frame instead when too much is lost', async () => {
    const { transports, offer, receive } = setUp();
    await offer({ media: [CAMERA] });
    transports.last.become('connected');
    receive(rtpPacket({ ssrc: 21, payloadType: 96, sequence: 1 }));
    receive(rtpPacket({ ssrc: 21, payloadType: 96, sequence: 1000 }));
    expect(transports.last.sent.map((packet) => [packet[1], packet[0]! & 31])).toEqual([[206, 1]]);
  });

  it('asks for key frames at a limited rate', async () => {
    const { transports, offer, track } = setUp();
    await offer({ media: [CAMERA] });
    transports.last.become('connected');
    for (let i = 0; i < 20; i += 1) track(0).requestKeyFrame();
    expect(transports.last.sent).toHaveLength(1);
    vi.advanceTimersByTime(500);
    expect(transports.last.sent).toHaveLength(2);
    vi.advanceTimersByTime(5000);
    expect(transports.last.sent).toHaveLength(2);
  });

  const subscribers = {};

  it('limits the publisher to what its subscribers can take, and lifts the limit again', async () => {
    const { transports, offer, receive, track } = setUp();
    await offer({ media: [MIC, CAMERA] });
    transports.last.become('connected');
    receive(rtpPacket({ ssrc: 21, payloadType: 96 }));
    const rembs = (): (number | undefined)[] =>
      transports.last.sent.filter((packet) => packet[1] === 206 && (packet[0]! & 31) === 15).map(rembOf);
    vi.advanceTimersByTime(1000);
    expect(rembs()).toEqual([]);
    track(1).limitBitrate(subscribers, { bitsPerSecond: [400_000], thinned: false });
    vi.advanceTimersByTime(1000);
    expect(rembs()).toEqual([464_000]);
    track(1).limitBitrate(subscribers, { bitsPerSecond: [Infinity], thinned: false });
    vi.advanceTimersByTime(10_000);
    expect(rembs().slice(1)).toEqual([20_000_000, 20_000_000, 20_000_000]);
  });

  it('holds a video to what its subscribers take beside others that are not limited, or that nobody receives', async () => {
    const { transports, offer, receive, track } = setUp();
    const screen: OfferedMediaLine = { kind: 'video', mid: '3', msid: 'screen', ssrc: 31 };
    await offer({ media: [CAMERA, screen] });
    transports.last.become('connected');
    const payload = Buffer.alloc(1_000 - 12);
    let sequence = 0;
    const second = (): number | undefined => {
      for (const ssrc of [21, 31])
        for (let i = 0; i < 100; i += 1) {
          sequence += 1;
          receive(rtpPacket({ ssrc, payloadType: 96, sequence, payload }));
        }
      transports.last.sent.length = 0;
      vi.advanceTimersByTime(1000);
      const rembs = transports.last.sent.filter((packet) => packet[1] === 206 && (packet[0]! & 31) === 15);
      return rembs.map(rembOf)[0];
    };
    expect(second()).toBeUndefined();
    track(0).limitBitrate(subscribers, { bitsPerSecond: [250_000], thinned: false });
    // Nobody receives the screen.
    expect(second()).toBe(250_000);
    listen(track(1));
    // It sends 800 kbit/s, and may continue and grow.
    const both = second()!;
    expect(both).toBeGreaterThan(250_000 + 800_000);
    expect(both).toBeLessThan(250_000 + 1_500_000);
    track(1).limitBitrate(subscribers, { bitsPerSecond: [100_000], thinned: false });
    expect(second()).toBe(350_000);
  });

  it('reports reception, and hands the publisher’s clock to the track', async () => {
    const { transports, offer, receive, track } = setUp();
    await offer({ media: [MIC] });
    transports.last.become('connected');
    receive(rtpPacket({ ssrc: 11 }));
    const sender = { ntpSeconds: 1, ntpFraction: 2, rtpTimestamp: 3, packetCount: 1, octetCount: 7 };
    receive(writeRtcpReport({ ssrc: 11, sender, blocks: [], cname: 'browser' }));
    expect(track(0).clock).toEqual({ ntpSeconds: 1, ntpFraction: 2, rtpTimestamp: 3 });
    vi.advanceTimersByTime(1000);
    const reports = transports.last.sent.filter((packet) => packet[1] === 201);
    expect(reports).toHaveLength(1);
    expect(reports[0]!.readUInt32BE(8)).toBe(11);
    expect(readRtcpTypes(reports[0]!)).toEqual([201, 202]);
  });

  it('reports the arrival times of packets that carry a transport-wide sequence number', async () => {
    const { transports, offer, receive } = setUp();
    await offer({ media: [MIC] });
    transports.last.become('connected');
    receive(rtpPacket({ ssrc: 11, extensions: { 3: Buffer.of(0, 9) } }));
    receive(rtpPacket({ ssrc: 11, sequence: 2, extensions: { 3: Buffer.of(0, 11) } }));
    vi.advanceTimersByTime(100);
    const feedback = transports.last.sent.filter((packet) => packet[1] === 205 && (packet[0]! & 31) === 15);
    expect(feedback.map((packet) => [packet.readUInt16BE(12), packet.readUInt16BE(14)])).toEqual([[9, 3]]);
  });

  it('ends its tracks and stops its timers when closed', async () => {
    const { connection, transports, offer, track } = setUp();
    await offer({ media: [MIC, CAMERA] });
    const mic = track(0);
    connection.close();
    expect([mic.ended, transports.last.state, connection.streams.length]).toEqual([true, 'closed', 0]);
    expect(vi.getTimerCount()).toBe(0);
  });

  it('survives any bytes, and remembers a bounded number of sources', async () => {
    const { offer, receive } = setUp();
    await offer({ media: [MIC, CAMERA] });
    const header = fc.constantFrom(0x80, 0x90, 0xa0, 0xbf, 0x8f, 0xb1);
    const type = fc.oneof(fc.constantFrom(111, 96, 97, 110, 200, 201, 202, 205, 206), fc.nat({ max: 255 }));
    fc.assert(
      fc.property(header, type, fc.uint8Array({ maxLength: 100 }), (first, second, rest) => {
        receive(Buffer.concat([Buffer.of(first, second), rest]));
      }),
      { numRuns: 3000 },
    );
  });
});
