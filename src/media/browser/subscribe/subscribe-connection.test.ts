import fc from 'fast-check';
import { describe, expect, it, vi } from 'vitest';
import { rtpPayloadType, rtpSsrc, writeFir, writeNack, writePli } from '../../rtp/index.js';
import { browserAnswer } from '../testing/browser-sdp.js';
import { published, setUp, STALE, useFakeTimers } from '../testing/subscribe-stage.js';

describe('the subscribe connection', () => {
  useFakeTimers();

  it('offers nothing before there is something to send', async () => {
    const { offers, connection, turn } = setUp();
    connection.setTracks([]);
    await turn(60_000);
    expect(offers).toEqual([]);
  });

  it('offers each track with its own codec, streams by msid, as the clients need it', async () => {
    const { offers, connection, onOmitted, turn } = setUp();
    const tracks = [published('opus', 's1'), published('VP8', 's1'), published('PCMU', 's2')].map(
      ({ track }) => track,
    );
    connection.setTracks(tracks);
    await turn();
    expect(offers).toHaveLength(1);
    const { sdpOffer, revision, streams, layout } = offers[0]!;
    expect([revision, layout]).toEqual([101, ['audio', 'video', 'audio']]);
    expect(onOmitted).not.toHaveBeenCalled();
    expect(streams).toEqual([
      { streamId: 's1', kinds: ['audio', 'video'] },
      { streamId: 's2', kinds: ['audio'] },
    ]);
    const sections = sdpOffer.split(/(?=^m=)/m).slice(1);
    expect(sections.map((section) => section.split('\r\n')[0])).toEqual([
      'm=audio 9 UDP/TLS/RTP/SAVPF 111 110',
      'm=video 9 UDP/TLS/RTP/SAVPF 96 97',
      'm=audio 9 UDP/TLS/RTP/SAVPF 0 126',
    ]);
    for (const section of sections) {
      expect(section).toContain('a=setup:actpass');
      expect(section).toContain('a=candidate:');
      expect(section).toContain('a=sendonly');
    }
    expect(sections[1]).toContain('a=msid:s1 s1-video');
    const cnames = new Set(
      [...sections[0]!.matchAll(/cname:(\S+)/g), ...sections[1]!.matchAll(/cname:(\S+)/g)].map(
        ([, name]) => name,
      ),
    );
    expect(cnames.size).toBe(1);
  });

  it('sends only what the browser has answered to, and stops at once', async () => {
    const { transports, connection, turn, settle } = setUp();
    const mic = published('opus', 's1');
    connection.setTracks([mic.track]);
    await turn();
    mic.push(1);
    await settle();
    mic.push(2);
    expect(transports.last.sent.map(rtpPayloadType)).toEqual([111]);
    connection.setTracks([]);
    mic.push(3);
    expect(transports.last.sent).toHaveLength(1);
    expect(connection.sent).toEqual({ packets: 1, bytes: 19 });
  });

  it('puts changes during an offer into the next one', async () => {
    const { offers, connection, turn, answer } = setUp();
    const tracks = ['a', 'b', 'c', 'd'].map((id) => published('opus', id).track);
    connection.setTracks(tracks.slice(0, 1));
    await turn();
    connection.setTracks(tracks.slice(0, 2));
    await turn();
    connection.setTracks(tracks);
    await turn();
    expect(offers).toHaveLength(1);
    answer();
    await turn();
    expect(offers.map(({ revision, streams }) => [revision, streams.length])).toEqual([
      [101, 1],
      [102, 4],
    ]);
  });

  it('sends nothing of a track whose m-line got another track while the offer was on its way', async () => {
    const { offers, transports, connection, onOmitted, turn, answer, settle } = setUp();
    const [gone, next] = [published('opus', 'gone'), published('opus', 'next')];
    connection.setTracks([gone.track]);
    await turn();
    connection.setTracks([next.track]);
    // The refusal is about the first track and must not count for the second.
    answer({ refuse: ['opus'] });
    transports.last.become('connected');
    await turn();
    expect(offers.map(({ streams }) => streams.map(({ streamId }) => streamId))).toEqual([
      ['gone'],
      ['next'],
    ]);
    expect(onOmitted).not.toHaveBeenCalled();
    gone.push(1);
    expect(transports.last.sent).toEqual([]);
    await settle();
    gone.push(2);
    next.push(1);
    expect(transports.last.sent).toHaveLength(1);
  });

  it('keeps a removed track’s m-line inactive and uses it again', async () => {
    const { offers, connection, settle } = setUp();
    const [a, b] = [published('opus', 'a').track, published('PCMU', 'b').track];
    connection.setTracks([a]);
    await settle();
    connection.setTracks([]);
    await settle();
    expect(offers[1]!.sdpOffer).toContain('a=inactive');
    expect(offers[1]).toMatchObject({ streams: [], layout: ['audio'] });
    connection.setTracks([b]);
    await settle();
    expect(offers[2]!.layout).toEqual(['audio']);
    expect(offers[2]!.sdpOffer).toContain('a=msid:b b-audio');
  });

  it('leaves out a codec that the browser refuses, and says so', async () => {
    const { offers, connection, onOmitted, settle, turn } = setUp();
    const [audio, video] = [published('opus', 's').track, published('AV1', 's').track];
    connection.setTracks([audio, video]);
    await settle({ refuse: ['AV1'] });
    expect(offers).toHaveLength(2);
    expect(offers[1]).toMatchObject({
      streams: [{ streamId: 's', kinds: ['audio'] }],
      codecs: ['opus'],
      layout: ['audio', 'video'],
    });
    const reason = expect.stringContaining('AV1') as string;
    expect(onOmitted.mock.calls).toEqual([[[{ streamId: 's', kind: 'video', reason }]]]);
    const mids = offers.map(({ sdpOffer }) => [...sdpOffer.matchAll(/a=mid:(\S+)/g)].map(([, mid]) => mid));
    expect(mids[1]![0]).toBe(mids[0]![0]);
    expect(mids[1]![1]).not.toBe(mids[0]![1]);
    await settle();
    connection.setTracks([audio, published('VP8', 't').track]);
    await turn();
    expect(offers[2]!.streams).toEqual([
      { streamId: 's', kinds: ['audio'] },
      { streamId: 't', kinds: ['video'] },
    ]);
    expect(offers[2]!.codecs).toEqual(['opus', 'VP8']);
    expect(onOmitted).toHaveBeenLastCalledWith([]);
  });

  it('asks for a key frame when the browser has answered, and when its transport is up', async () => {
    const { transports, connection, turn, answer } = setUp();
    const camera = published('VP8', 's');
    connection.setTracks([camera.track]);
    await turn();
    expect(camera.requestKeyFrame).not.toHaveBeenCalled();
    answer();
    expect(camera.requestKeyFrame).toHaveBeenCalledTimes(1);
    transports.last.become('connected');
    expect(camera.requestKeyFrame).toHaveBeenCalledTimes(2);
  });

  it('acts on NACK, PLI and FIR of its own tracks only', async () => {
    const { transports, connection, settle } = setUp();
    const [camera, other] = [published('VP8', 's'), published('VP8', 't')];
    connection.setTracks([camera.track, other.track]);
    await settle();
    camera.requestKeyFrame.mockClear();
    other.requestKeyFrame.mockClear();
    camera.push(7);
    const ssrc = rtpSsrc(transports.last.sent[0]!);
    transports.last.handlers.onPacket(writePli(1, ssrc));
    transports.last.handlers.onPacket(writeFir(1, ssrc, 0));
    transports.last.handlers.onPacket(writePli(1, ssrc ^ 1));
    expect(camera.requestKeyFrame).toHaveBeenCalledTimes(2);
    expect(other.requestKeyFrame).not.toHaveBeenCalled();
    transports.last.handlers.onPacket(writeNack(1, ssrc, [7]));
    expect(transports.last.sent.map(rtpPayloadType)).toEqual([96, 97]);
  });

  it('refuses an answer that nobody asked for, or with other m-lines', async () => {
    const { offers, connection, turn, answer } = setUp();
    expect(() => connection.answer('')).toThrow(STALE);
    connection.setTracks([published('opus', 'a').track]);
    await turn();
    const first = offers[0]!.sdpOffer;
    answer();
    connection.setTracks([published('opus', 'a').track, published('opus', 'b').track]);
    await turn();
    expect(() => connection.answer(browserAnswer(first))).toThrow(STALE);
    expect(() => answer()).not.toThrow();
  });

  it('offers again what may have been lost with the socket', async () => {
    const { offers, connection, settle, turn } = setUp();
    connection.setTracks([published('opus', 'a').track]);
    await settle();
    connection.resume();
    await turn();
    expect(offers).toHaveLength(1);
    connection.setTracks([published('opus', 'b').track]);
    await turn();
    connection.resume();
    await turn();
    expect(offers.map(({ revision }) => revision)).toEqual([101, 102, 103]);
    expect(offers[2]!.streams).toEqual(offers[1]!.streams);
  });

  it('frees everything when closed', async () => {
    const { transports, connection, settle } = setUp();
    const mic = published('opus', 'a');
    connection.setTracks([mic.track]);
    await settle();
    connection.close();
    expect([transports.last.state, mic.track.sinkCount, vi.getTimerCount()]).toEqual(['closed', 0, 0]);
  });

  it('survives any bytes', async () => {
    const { transports, connection, settle } = setUp();
    connection.setTracks([published('VP8', 'a').track]);
    await settle();
    const type = fc.oneof(fc.constantFrom(200, 201, 202, 203, 204, 205, 206, 207), fc.nat({ max: 255 }));
    fc.assert(
      fc.property(fc.nat({ max: 63 }), type, fc.uint8Array({ maxLength: 100 }), (count, second, rest) => {
        transports.last.handlers.onPacket(Buffer.concat([Buffer.of(0x80 | count, second), rest]));
      }),
      { numRuns: 3000 },
    );
  });
});
