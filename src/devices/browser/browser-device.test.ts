import { describe, expect, it, vi } from 'vitest';
import { ACCOUNT } from '../../core/testing/index.js';
import { PatchbayError } from '../../core/index.js';
import { KEEPALIVE_MS, MISSED_SIGNS } from '../keep-alive.js';
import { useBrowserServer } from './testing/server-fixture.js';
import { method } from './testing/raw-client.js';

const stage = useBrowserServer();

describe('a browser device', () => {
  async function lost(): Promise<{ id: string; token: string; deviceId: string; left: string[] }> {
    await stage.start({ reconnectTimes: { silentMs: 9_000, longestMs: 60_000 } });
    const left: string[] = [];
    stage.fixture.core.on('left', ({ reason }) => left.push(reason));
    const who = stage.fixture.participant();
    const gone = new Promise<void>((resolve) => stage.fixture.core.on('signallingLost', () => resolve()));
    const client = await stage.fixture.ready(who.token);
    const deviceId = stage.fixture.core.connectedDevice(who.id)!.id;
    client.socket.terminate();
    await gone;
    return { ...who, deviceId, left };
  }

  /** Lets time pass in steps, so that what is asked in between can be answered. */
  async function pass(ms: number): Promise<void> {
    for (let passed = 0; passed < ms; passed += 500) {
      stage.fixture.clock.advance(500);
      await new Promise((resolve) => setImmediate(resolve));
    }
  }

  it('goes on with a new socket of the same page', async () => {
    const { id, token, deviceId } = await lost();
    await stage.fixture.open(token);
    await vi.waitFor(() => expect(stage.fixture.media.browsers.resumed).toEqual([deviceId]));
    expect(stage.fixture.core.connectedDevice(id)?.id).toBe(deviceId);
    expect(stage.fixture.media.closed).toEqual([]);
  });

  it('gets no offers while the gateway stops', async () => {
    await stage.start();
    const { id, token } = stage.fixture.participant();
    const client = await stage.fixture.ready(token);
    const deviceId = stage.fixture.core.connectedDevice(id)!.id;
    stage.fixture.core.on('left', () => {
      // As happens when streams of other devices end.
      const offer = { sdpOffer: 'o', revision: 1, streams: [], codecs: [], layout: [] };
      stage.fixture.media.emit(deviceId, { type: 'subscribeOffer', offer });
    });
    await stage.fixture.browsers.stop();
    expect((await client.closed).code).toBe(1012);
    expect(client.frames.filter(method('sdpOffer'))).toEqual([]);
  });

  it('tells with which codecs it sends, and with which it was offered to receive', async () => {
    await stage.start();
    const { fixture } = stage;
    const { id, token } = fixture.participant();
    const client = await fixture.ready(token);
    const formats = (): unknown => fixture.core.device(ACCOUNT, id)?.formats;
    expect(formats()).toEqual({});
    fixture.media.browsers.streams = [
      { streamId: 'camera', publisherMsid: 'c', kinds: ['audio', 'video'], codecs: ['opus', 'VP8'] },
      { streamId: 'screen', publisherMsid: 's', kinds: ['video'], codecs: ['VP8'] },
    ];
    await client.call('offerSdp', { sdpOffer: 'offer', mediaMetadata: { mediaStreams: {} } });
    const received = { codecs: ['opus', 'VP8'], encryption: 'DTLS-SRTP' };
    expect(formats()).toEqual({ received });
    const { id: deviceId } = fixture.core.connectedDevice(id)!;
    const offer = { sdpOffer: 'o', revision: 1, streams: [], codecs: ['PCMU'], layout: [] };
    fixture.media.emit(deviceId, { type: 'subscribeOffer', offer });
    expect(formats()).toEqual({ received, sent: { codecs: ['PCMU'], encryption: 'DTLS-SRTP' } });
    // It stops publishing without an offer.
    fixture.media.emit(deviceId, { type: 'streams', streams: [] });
    expect(formats()).toEqual({ sent: { codecs: ['PCMU'], encryption: 'DTLS-SRTP' } });
  });

  it('may reconnect with a token that has expired meanwhile', async () => {
    await stage.start();
    const { id, token } = stage.fixture.participant();
    const authenticate = stage.fixture.core.authenticate.bind(stage.fixture.core);
    const first = await stage.fixture.ready(token);
    vi.spyOn(stage.fixture.core, 'authenticate').mockImplementation((given, options) => {
      if (options?.ignoreExpiry === true) return authenticate(given);
      // As the core refuses an expired token.
      throw new PatchbayError('PATCHBAY_TOKEN_EXPIRED', 'The token has expired.');
    });
    first.socket.terminate();
    await stage.fixture.open(token);
    await vi.waitFor(() => expect(stage.fixture.media.browsers.resumed).toHaveLength(1));
    expect((await (await stage.fixture.open(token, { uniqueId: 'another' })).closed).code).toBe(1000);
    expect(stage.fixture.core.connectedDevice(id)?.externalId).toBe('unique-1');
  });

  it('is kept without a socket while its media is alive, but not for ever', async () => {
    const { left, deviceId } = await lost();
    stage.fixture.media.emit(deviceId, { type: 'heard' });
    await pass(30_000);
    expect(left).toEqual([]);
    await pass(40_000);
    expect(left).toEqual(['lost']);
  });

  it('ends when its media is silent too, for the time since the socket was lost', async () => {
    const { left, deviceId } = await lost();
    stage.fixture.media.emit(deviceId, { type: 'heard' });
    stage.fixture.media.emit(deviceId, { type: 'silent', silentMs: 60_000 });
    await pass(8_000);
    expect(left).toEqual([]);
    await pass(3_000);
    expect(left).toEqual(['lost']);
    expect(stage.fixture.media.closed).toEqual([deviceId]);
  });

  it('ends after the time for silence when it never had media', async () => {
    const { left } = await lost();
    await pass(8_000);
    expect(left).toEqual([]);
    await pass(3_000);
    expect(left).toEqual(['lost']);
  });

  it('cuts a socket without a sign of life', async () => {
    await stage.start();
    const gone = vi.fn();
    stage.fixture.core.on('signallingLost', gone);
    const client = await stage.fixture.ready(stage.fixture.participant().token);
    client.socket.pause();
    stage.fixture.clock.advance((1 + MISSED_SIGNS) * KEEPALIVE_MS);
    await vi.waitFor(() => expect(gone).toHaveBeenCalledOnce());
  });

  it.each([2_000, 4_000])('keeps a socket whose proxy passes data on every %i ms', async (everyMs) => {
    await stage.start();
    const gone = vi.fn();
    stage.fixture.core.on('signallingLost', gone);
    const client = await stage.fixture.ready(stage.fixture.participant().token);
    for (let passed = 0; passed < 60_000; passed += everyMs) {
      client.socket.pause();
      stage.fixture.clock.advance(everyMs);
      client.socket.resume();
      // The answer to this comes after the pongs to all earlier pings.
      await client.call('ping');
    }
    expect(gone).not.toHaveBeenCalled();
  });

  it('ends within 15 s of its last sign of life, though its socket is cut only later', async () => {
    await stage.start();
    const left = vi.fn();
    stage.fixture.core.on('left', left);
    const client = await stage.fixture.ready(stage.fixture.participant().token);
    client.socket.pause();
    await pass(15_000);
    expect(left).toHaveBeenCalledOnce();
  });

  it('ends at once when the page leaves, or closes with 1000', async () => {
    await stage.start();
    const left: string[] = [];
    stage.fixture.core.on('left', ({ reason }) => left.push(reason));
    const first = await stage.fixture.ready(stage.fixture.participant().token);
    first.notify('leave');
    expect((await first.closed).code).toBe(1000);
    const second = await stage.fixture.ready(stage.fixture.participant().token);
    second.socket.close(1000);
    await vi.waitFor(() => expect(left).toEqual(['left', 'left']));
  });

  it('is closed with 1000 when it was disconnected, and with 1012 at a shutdown', async () => {
    await stage.start();
    const kicked = stage.fixture.participant();
    const other = stage.fixture.participant();
    const kickedClient = await stage.fixture.ready(kicked.token, { uniqueId: 'kicked' });
    const otherClient = await stage.fixture.ready(other.token, { uniqueId: 'other' });
    stage.fixture.core.disconnectDevice(ACCOUNT, kicked.id);
    expect(await kickedClient.closed).toEqual({ code: 1000, reason: 'disconnected' });
    await stage.fixture.browsers.stop();
    expect((await otherClient.closed).code).toBe(1012);
  });
});
