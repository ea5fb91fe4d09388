import { describe, expect, it } from 'vitest';
import { writePli } from '../../rtp/index.js';
import { browserAnswer } from '../testing/browser-sdp.js';
import { published, setUp, STALE, useFakeTimers } from '../testing/subscribe-stage.js';

describe('the transport of a subscribe connection', () => {
  useFakeTimers();

  it('offers the m-lines from before a restart at once, on a fresh transport', async () => {
    const { offers, connection, settle } = setUp(['audio', 'video']);
    await settle();
    expect(offers[0]).toMatchObject({ streams: [], layout: ['audio', 'video'], revision: 101 });
    connection.setTracks([published('VP8', 's').track]);
    await settle();
    expect(offers[1]!.layout).toEqual(['audio', 'video']);
  });

  it.each(['failed', 'disconnected'] as const)(
    'offers a fresh transport when the old one is %s',
    async (state) => {
      const { transports, offers, connection, onGone, settle, turn } = setUp();
      const mic = published('opus', 'a');
      connection.setTracks([mic.track]);
      await settle();
      transports.last.become(state);
      expect(onGone).toHaveBeenCalledTimes(1);
      await turn();
      expect(transports.made).toHaveLength(2);
      expect(offers[1]!.sdpOffer).toContain('a=ice-ufrag:ours2');
      await settle({ ufrag: 'next' });
      mic.push();
      expect(transports.last.sent).toHaveLength(1);
    },
  );

  it('does not take an answer from before the transport was replaced', async () => {
    const { transports, connection, settle, turn, answer } = setUp();
    connection.setTracks([published('opus', 'a').track]);
    await settle({ ufrag: 'once' });
    transports.last.become('failed');
    await turn();
    expect(() => answer({ ufrag: 'once' })).toThrow(STALE);
    expect(transports.last.remote).toBeUndefined();
    answer({ ufrag: 'anew' });
    expect(transports.last.remote?.iceUfrag).toBe('anew');
  });

  const mLines = (sdp: string): string[] =>
    sdp.split(/(?=^m=)/m).flatMap((section) => {
      const port = /^m=\w+ (\d+)/.exec(section)?.[1];
      return port === undefined ? [] : [`${/^a=mid:(\S+)/m.exec(section)![1]!} ${port}`];
    });
  const bundled = (sdp: string): string => /^a=group:BUNDLE (.*)\r$/m.exec(sdp)?.[1] ?? '';

  it('gives Firefox other m-lines with another transport: on those that it has, DTLS would never start anew', async () => {
    const { transports, offers, connection, settle, turn } = setUp();
    const [mic, camera] = [published('opus', 'a'), published('VP8', 'a')];
    connection.setTracks([mic.track, camera.track]);
    await settle({ firefox: true });
    expect(mLines(offers[0]!.sdpOffer)).toEqual(['0 9', '1 9']);
    transports.last.become('failed');
    await turn();
    expect(mLines(offers[1]!.sdpOffer)).toEqual(['0 0', '1 0', '2 9', '3 9']);
    expect(bundled(offers[1]!.sdpOffer)).toBe('2 3');
    // Without an ICE restart of what is left it has the same credentials as before.
    await settle({ firefox: true });
    expect(transports.last.remote?.iceUfrag).toBe('wxyz');
    for (const { push } of [mic, camera]) push();
    expect(transports.last.sent).toHaveLength(2);
    // What is used again comes behind: the transport is that of the first in the group.
    connection.setTracks([mic.track, camera.track, published('opus', 'b').track]);
    await settle({ firefox: true });
    expect(mLines(offers[2]!.sdpOffer)).toEqual(['0.1 9', '1.2 9', '2 9', '3 9']);
    expect(bundled(offers[2]!.sdpOffer)).toBe('2 3 0.1 1.2');
    expect(transports.made).toHaveLength(2);
  });

  it('gives Firefox other m-lines after a restart of the gateway, once it has seen that it is Firefox', async () => {
    const { transports, offers, connection, settle, turn, answer } = setUp(['audio']);
    const mic = published('opus', 'a');
    connection.setTracks([mic.track]);
    await turn();
    answer({ firefox: true });
    expect(transports.made[0]).toMatchObject({ state: 'closed', remote: undefined });
    await settle({ firefox: true });
    expect(mLines(offers[1]!.sdpOffer)).toEqual(['0 0', '1 9']);
    mic.push();
    expect(transports.last.sent).toHaveLength(1);
  });

  it('does not use up m-lines for offers that Firefox never answers', async () => {
    const { transports, offers, connection, settle, turn } = setUp();
    connection.setTracks([published('opus', 'a').track]);
    await settle({ firefox: true });
    transports.last.become('failed');
    await turn(300_000);
    connection.resume();
    await turn();
    expect(mLines(offers.at(-1)!.sdpOffer)).toEqual(['0 0', '1 9']);
  });

  it('does not take an answer of Firefox to other m-lines', async () => {
    const { transports, connection, offers, settle, turn } = setUp();
    connection.setTracks([published('opus', 'a').track]);
    await settle({ firefox: true });
    transports.last.become('failed');
    await turn();
    const before = browserAnswer(offers[0]!.sdpOffer, { firefox: true });
    expect(() => connection.answer(before)).toThrow(STALE);
    expect(() => connection.answer(before.concat(before.slice(before.indexOf('m='))))).toThrow();
    expect(transports.last.remote).toBeUndefined();
  });

  it('replaces a transport that does not come up in time, a few times, then waits for the browser', async () => {
    const { transports, connection, onGone, turn, answer } = setUp();
    connection.setTracks([published('opus', 'a').track]);
    await turn();
    for (let i = 1; i <= 4; i += 1) {
      expect(transports.made).toHaveLength(i);
      answer({ ufrag: `try${i}` });
      await turn(6_000);
      expect(onGone).toHaveBeenCalledTimes(i);
    }
    await turn(120_000);
    expect(transports.made).toHaveLength(4);
    connection.resume();
    await turn();
    expect(transports.made).toHaveLength(5);
  });

  it('notices within fifteen seconds that nothing comes back for what is sent', async () => {
    const { transports, connection, onGone, settle, turn } = setUp();
    const mic = published('opus', 'a');
    connection.setTracks([mic.track]);
    await settle();
    for (let second = 0; second < 20; second += 1) {
      mic.push(second);
      transports.last.handlers.onPacket(writePli(1, 2));
      await turn(1_000);
    }
    expect(onGone).not.toHaveBeenCalled();
    mic.push(20);
    await turn(12_000);
    expect(onGone).toHaveBeenCalledTimes(1);
  });
});
