import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { rtpPayloadType, rtpSsrc, writeFir, writeNack, writePli } from '../../rtp/index.js';
import { PublishedTrack } from '../../track.js';
import type { MediaKind, SubscribeOffer } from '../../types.js';
import { FanoutTable } from '../forward/fanout-table.js';
import { browserAnswer } from '../testing/browser-sdp.js';
import { FakePipes } from '../testing/fake-pipes.js';
import { rtpPacket } from '../testing/packets.js';
import { silentLog } from '../../../shared/testing/index.js';
import { SubscribeConnection } from './subscribe-connection.js';

/** No offer, or not this one, is outstanding. */
const STALE = expect.objectContaining({ code: 'INVALID_STATE' }) as Error;

type Offer = Omit<SubscribeOffer, 'deviceId'>;

const CODECS = {
  opus: { kind: 'audio', clockRate: 48_000, channels: 2 },
  PCMU: { kind: 'audio', clockRate: 8_000, channels: 1 },
  VP8: { kind: 'video', clockRate: 90_000, channels: 1 },
  AV1: { kind: 'video', clockRate: 90_000, channels: 1 },
} as const;

function published(name: keyof typeof CODECS, streamId: string) {
  const { kind, clockRate, channels } = CODECS[name];
  const requestKeyFrame = vi.fn();
  const track = new PublishedTrack({ kind, streamId, codec: { name, clockRate, channels }, requestKeyFrame });
  const push = (sequence = 1): void => track.push(rtpPacket({ sequence }), 12, 19, false);
  return { track, push, requestKeyFrame };
}

function setUp(layout: readonly MediaKind[] = []) {
  const pipes = new FakePipes();
  const offers: Offer[] = [];
  const onGone = vi.fn();
  const onOmitted = vi.fn();
  const connection = new SubscribeConnection({
    pipes,
    fanouts: new FanoutTable(),
    revision: 100,
    layout,
    onOffer: (offer) => offers.push(offer),
    onOmitted,
    onHeard: () => undefined,
    onAbuse: () => undefined,
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
    if (pipes.last.state === 'connecting') pipes.last.become('connected');
    await turn();
  };
  return { pipes, offers, connection, onGone, onOmitted, turn, answer, settle };
}

describe('the subscribe connection', () => {
  beforeEach(
    () =>
      void vi.useFakeTimers({
        toFake: ['setTimeout', 'setInterval', 'clearInterval', 'clearTimeout', 'performance'],
      }),
  );
  afterEach(() => void vi.useRealTimers());

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
    const { pipes, connection, turn, settle } = setUp();
    const mic = published('opus', 's1');
    connection.setTracks([mic.track]);
    await turn();
    mic.push(1);
    await settle();
    mic.push(2);
    expect(pipes.last.sent.map(rtpPayloadType)).toEqual([111]);
    connection.setTracks([]);
    mic.push(3);
    expect(pipes.last.sent).toHaveLength(1);
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

  it('sends nothing of a track whose m-line became another’s while the offer was on its way', async () => {
    const { offers, pipes, connection, onOmitted, turn, answer, settle } = setUp();
    const [gone, next] = [published('opus', 'gone'), published('opus', 'next')];
    connection.setTracks([gone.track]);
    await turn();
    connection.setTracks([next.track]);
    // Refused: what is said of the one must not be held against the other.
    answer({ refuse: ['opus'] });
    pipes.last.become('connected');
    await turn();
    expect(offers.map(({ streams }) => streams.map(({ streamId }) => streamId))).toEqual([
      ['gone'],
      ['next'],
    ]);
    expect(onOmitted).not.toHaveBeenCalled();
    gone.push(1);
    expect(pipes.last.sent).toEqual([]);
    await settle();
    gone.push(2);
    next.push(1);
    expect(pipes.last.sent).toHaveLength(1);
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
    expect(onOmitted).toHaveBeenLastCalledWith([]);
  });

  it('asks for a key frame when the browser has answered, and when its path is up', async () => {
    const { pipes, connection, turn, answer } = setUp();
    const camera = published('VP8', 's');
    connection.setTracks([camera.track]);
    await turn();
    expect(camera.requestKeyFrame).not.toHaveBeenCalled();
    answer();
    expect(camera.requestKeyFrame).toHaveBeenCalledTimes(1);
    pipes.last.become('connected');
    expect(camera.requestKeyFrame).toHaveBeenCalledTimes(2);
  });

  it('acts on NACK, PLI and FIR of its own tracks only', async () => {
    const { pipes, connection, settle } = setUp();
    const [camera, other] = [published('VP8', 's'), published('VP8', 't')];
    connection.setTracks([camera.track, other.track]);
    await settle();
    camera.requestKeyFrame.mockClear();
    other.requestKeyFrame.mockClear();
    camera.push(7);
    const ssrc = rtpSsrc(pipes.last.sent[0]!);
    pipes.last.handlers.onPacket(writePli(1, ssrc));
    pipes.last.handlers.onPacket(writeFir(1, ssrc, 0));
    pipes.last.handlers.onPacket(writePli(1, ssrc ^ 1));
    expect(camera.requestKeyFrame).toHaveBeenCalledTimes(2);
    expect(other.requestKeyFrame).not.toHaveBeenCalled();
    pipes.last.handlers.onPacket(writeNack(1, ssrc, [7]));
    expect(pipes.last.sent.map(rtpPayloadType)).toEqual([96, 97]);
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

  it('offers again what a lost socket may have swallowed', async () => {
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

  it('offers the m-lines from before a restart at once, on a fresh path', async () => {
    const { offers, connection, settle } = setUp(['audio', 'video']);
    await settle();
    expect(offers[0]).toMatchObject({ streams: [], layout: ['audio', 'video'], revision: 101 });
    connection.setTracks([published('VP8', 's').track]);
    await settle();
    expect(offers[1]!.layout).toEqual(['audio', 'video']);
  });

  it.each(['failed', 'disconnected'] as const)(
    'offers a fresh path when the old one is %s',
    async (state) => {
      const { pipes, offers, connection, onGone, settle, turn } = setUp();
      const mic = published('opus', 'a');
      connection.setTracks([mic.track]);
      await settle();
      pipes.last.become(state);
      expect(onGone).toHaveBeenCalledTimes(1);
      await turn();
      expect(pipes.made).toHaveLength(2);
      expect(offers[1]!.sdpOffer).toContain('a=ice-ufrag:ours2');
      await settle({ ufrag: 'next' });
      mic.push();
      expect(pipes.last.sent).toHaveLength(1);
    },
  );

  it('does not take an answer from before the path was replaced', async () => {
    const { pipes, connection, settle, turn, answer } = setUp();
    connection.setTracks([published('opus', 'a').track]);
    await settle({ ufrag: 'once' });
    pipes.last.become('failed');
    await turn();
    expect(() => answer({ ufrag: 'once' })).toThrow(STALE);
    expect(pipes.last.remote).toBeUndefined();
    answer({ ufrag: 'anew' });
    expect(pipes.last.remote?.iceUfrag).toBe('anew');
  });

  const mLines = (sdp: string): string[] =>
    sdp.split(/(?=^m=)/m).flatMap((section) => {
      const port = /^m=\w+ (\d+)/.exec(section)?.[1];
      return port === undefined ? [] : [`${/^a=mid:(\S+)/m.exec(section)![1]!} ${port}`];
    });
  const bundled = (sdp: string): string => /^a=group:BUNDLE (.*)\r$/m.exec(sdp)?.[1] ?? '';

  it('gives Firefox other m-lines with another path: on those that it has, DTLS would never start anew', async () => {
    const { pipes, offers, connection, settle, turn } = setUp();
    const [mic, camera] = [published('opus', 'a'), published('VP8', 'a')];
    connection.setTracks([mic.track, camera.track]);
    await settle({ firefox: true });
    expect(mLines(offers[0]!.sdpOffer)).toEqual(['0 9', '1 9']);
    pipes.last.become('failed');
    await turn();
    expect(mLines(offers[1]!.sdpOffer)).toEqual(['0 0', '1 0', '2 9', '3 9']);
    expect(bundled(offers[1]!.sdpOffer)).toBe('2 3');
    // Without an ICE restart of what is left it has the same credentials as before.
    await settle({ firefox: true });
    expect(pipes.last.remote?.iceUfrag).toBe('wxyz');
    for (const { push } of [mic, camera]) push();
    expect(pipes.last.sent).toHaveLength(2);
    // What is used again comes behind: the transport is that of the first in the group.
    connection.setTracks([mic.track, camera.track, published('opus', 'b').track]);
    await settle({ firefox: true });
    expect(mLines(offers[2]!.sdpOffer)).toEqual(['0.1 9', '1.2 9', '2 9', '3 9']);
    expect(bundled(offers[2]!.sdpOffer)).toBe('2 3 0.1 1.2');
    expect(pipes.made).toHaveLength(2);
  });

  it('gives Firefox other m-lines after a restart of the gateway, once it has seen that it is Firefox', async () => {
    const { pipes, offers, connection, settle, turn, answer } = setUp(['audio']);
    const mic = published('opus', 'a');
    connection.setTracks([mic.track]);
    await turn();
    answer({ firefox: true });
    expect(pipes.made[0]).toMatchObject({ state: 'closed', remote: undefined });
    await settle({ firefox: true });
    expect(mLines(offers[1]!.sdpOffer)).toEqual(['0 0', '1 9']);
    mic.push();
    expect(pipes.last.sent).toHaveLength(1);
  });

  it('does not use up m-lines for offers that Firefox never answers', async () => {
    const { pipes, offers, connection, settle, turn } = setUp();
    connection.setTracks([published('opus', 'a').track]);
    await settle({ firefox: true });
    pipes.last.become('failed');
    await turn(300_000);
    connection.resume();
    await turn();
    expect(mLines(offers.at(-1)!.sdpOffer)).toEqual(['0 0', '1 9']);
  });

  it('does not take an answer of Firefox to other m-lines', async () => {
    const { pipes, connection, offers, settle, turn } = setUp();
    connection.setTracks([published('opus', 'a').track]);
    await settle({ firefox: true });
    pipes.last.become('failed');
    await turn();
    const before = browserAnswer(offers[0]!.sdpOffer, { firefox: true });
    expect(() => connection.answer(before)).toThrow(STALE);
    expect(() => connection.answer(before.concat(before.slice(before.indexOf('m='))))).toThrow();
    expect(pipes.last.remote).toBeUndefined();
  });

  it('replaces a path that does not come up in time, a few times, then waits for the browser', async () => {
    const { pipes, connection, onGone, turn, answer } = setUp();
    connection.setTracks([published('opus', 'a').track]);
    await turn();
    for (let i = 1; i <= 4; i += 1) {
      expect(pipes.made).toHaveLength(i);
      answer({ ufrag: `try${i}` });
      await turn(6_000);
      expect(onGone).toHaveBeenCalledTimes(i);
    }
    await turn(120_000);
    expect(pipes.made).toHaveLength(4);
    connection.resume();
    await turn();
    expect(pipes.made).toHaveLength(5);
  });

  it('notices within fifteen seconds that nothing comes back for what is sent', async () => {
    const { pipes, connection, onGone, settle, turn } = setUp();
    const mic = published('opus', 'a');
    connection.setTracks([mic.track]);
    await settle();
    for (let second = 0; second < 20; second += 1) {
      mic.push(second);
      pipes.last.handlers.onPacket(writePli(1, 2));
      await turn(1_000);
    }
    expect(onGone).not.toHaveBeenCalled();
    mic.push(20);
    await turn(12_000);
    expect(onGone).toHaveBeenCalledTimes(1);
  });

  it('frees everything when closed', async () => {
    const { pipes, connection, settle } = setUp();
    const mic = published('opus', 'a');
    connection.setTracks([mic.track]);
    await settle();
    connection.close();
    expect([pipes.last.state, mic.track.sinkCount, vi.getTimerCount()]).toEqual(['closed', 0, 0]);
  });

  it('survives any bytes', async () => {
    const { pipes, connection, settle } = setUp();
    connection.setTracks([published('VP8', 'a').track]);
    await settle();
    const type = fc.oneof(fc.constantFrom(200, 201, 202, 203, 204, 205, 206, 207), fc.nat({ max: 255 }));
    fc.assert(
      fc.property(fc.nat({ max: 63 }), type, fc.uint8Array({ maxLength: 100 }), (count, second, rest) => {
        pipes.last.handlers.onPacket(Buffer.concat([Buffer.of(0x80 | count, second), rest]));
      }),
      { numRuns: 3000 },
    );
  });
});
