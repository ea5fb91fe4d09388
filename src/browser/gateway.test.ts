import { afterEach, describe, expect, it, vi } from 'vitest';
import { ACCOUNT } from '../core/testing/index.js';
import { PatchbayError } from '../core/index.js';
import { MediaError } from '../media/types.js';
import { KEEPALIVE_MS } from './client-socket.js';
import { GatewayFixture } from './testing/gateway-fixture.js';
import { RawClient } from './testing/raw-client.js';

let fixture: GatewayFixture;

const start = async (options?: Parameters<typeof GatewayFixture.start>[0]): Promise<GatewayFixture> => {
  fixture = await GatewayFixture.start(options);
  return fixture;
};

afterEach(() => fixture.stop());

const method =
  (name: string) =>
  (frame: Readonly<Record<string, unknown>>): boolean =>
    frame['method'] === name;

describe('connecting', () => {
  it.each(['/v3', '/v3/', '//v3/', '/prefix/of/a/proxy/v3/'])('accepts the path %s', async (path) => {
    await start();
    const { token } = fixture.participant();
    const client = await fixture.open(token, { path });
    expect(await client.call('setMediaPreferences', { protocol: 'WEBRTC' })).toEqual({
      jsonrpc: '2.0',
      result: {},
      id: 1,
    });
  });

  it('answers other paths with 404', async () => {
    await start();
    const client = new RawClient(fixture.url('', { path: '/v4/' }));
    expect((await client.closed).code).toBe(1006);
  });

  it.each([
    ['no token', ''],
    ['a token that is none', 'not.a.token'],
  ])('accepts the socket and closes it with 1000 for %s', async (_, token) => {
    await start();
    const closed = await (await fixture.open(token)).closed;
    expect(closed.code).toBe(1000);
    expect(closed.reason).not.toBe('');
  });

  it('closes with 1000 when the participant has been deleted', async () => {
    await start();
    const { id, token } = fixture.participant();
    fixture.core.deleteParticipant(ACCOUNT, id);
    expect((await (await fixture.open(token)).closed).code).toBe(1000);
  });

  it('connects the device under the id that the client gives itself', async () => {
    await start();
    const { id, token } = fixture.participant();
    await fixture.ready(token, { uniqueId: 'the-page' });
    expect(fixture.core.connectedDevice(id)).toMatchObject({ kind: 'browser', externalId: 'the-page' });
  });

  it('lets the newest device win and sends the older away with 1000', async () => {
    await start();
    const { id, token } = fixture.participant();
    const older = await fixture.ready(token, { uniqueId: 'older' });
    await fixture.ready(token, { uniqueId: 'newer' });
    expect(await older.closed).toEqual({ code: 1000, reason: 'replaced' });
    expect(fixture.core.connectedDevice(id)?.externalId).toBe('newer');
  });
});

describe('publishing', () => {
  const mediaMetadata = { mediaStreams: { 'msid-1': { alias: 'camera' } }, dataChannels: {} };

  it('answers with metadata under the id of the publisher, and tells the core', async () => {
    await start();
    const { id, token } = fixture.participant();
    const client = await fixture.ready(token);
    fixture.media.streams = [{ streamId: 'stream-1', publisherMsid: 'msid-1', kinds: ['audio', 'video'] }];
    const { result } = await client.call('offerSdp', { sdpOffer: 'offer', mediaMetadata });
    expect(result).toMatchObject({
      sdpAnswer: 'answer to offer',
      streamMetadata: {
        'msid-1': {
          endpointId: 'stream-1',
          alias: 'camera',
          mediaTypes: ['AUDIO', 'VIDEO'],
          participantId: id,
        },
      },
    });
    expect(fixture.core.device(ACCOUNT, id)?.streams).toEqual([
      { streamId: 'stream-1', alias: 'camera', mediaTypes: ['AUDIO', 'VIDEO'] },
    ]);
  });

  it('lets the media plane take only what the participant may publish', async () => {
    await start();
    const { token } = fixture.participant(undefined, ['AUDIO']);
    const client = await fixture.ready(token);
    const { result } = await client.call('offerSdp', { sdpOffer: 'offer', mediaMetadata });
    expect(fixture.media.offers).toEqual([{ sdpOffer: 'offer', allowedKinds: ['audio'] }]);
    expect(result).toMatchObject({ streamMetadata: { 'msid-1': { mediaTypes: [] } } });
  });

  it('answers an SDP that cannot be answered with an error that a page can show', async () => {
    await start();
    const client = await fixture.ready(fixture.participant().token);
    fixture.media.refusal = new MediaError('BAD_SDP', 'There is no m-line.');
    const answer = await client.call('offerSdp', { sdpOffer: 'nonsense', mediaMetadata: {} });
    expect(answer).toEqual({
      jsonrpc: '2.0',
      error: { code: -32000, message: 'There is no m-line.' },
      id: 2,
    });
  });

  it('does not mistake a stream named __proto__ for anything else', async () => {
    await start();
    const client = await fixture.ready(fixture.participant().token);
    client.send(
      '{"jsonrpc":"2.0","id":"x","method":"offerSdp","params":{"sdpOffer":"o","mediaMetadata":' +
        '{"mediaStreams":{"__proto__":{"alias":"polluted"}}}}}',
    );
    const { result } = await client.waitFor((frame) => frame['id'] === 'x');
    const { streamMetadata } = result as { streamMetadata: object };
    expect(Object.hasOwn(streamMetadata, '__proto__')).toBe(true);
    expect(({} as Record<string, unknown>)['alias']).toBeUndefined();
  });

  it('refuses offers that come too fast, and keeps the socket', async () => {
    await start({ limits: { offers: { burst: 1, perSecond: 1 } } });
    const client = await fixture.ready(fixture.participant().token);
    await client.call('offerSdp', { sdpOffer: 'first', mediaMetadata: {} });
    const second = await client.call('offerSdp', { sdpOffer: 'second', mediaMetadata: {} });
    expect(second['error']).toMatchObject({ code: -32001 });
    fixture.clock.advance(1_000);
    expect((await client.call('offerSdp', { sdpOffer: 'third', mediaMetadata: {} }))['result']).toBeDefined();
  });
});

describe('subscribing', () => {
  /** A subscribed browser and a published stream of another participant. */
  async function subscribed(
    sdkVersion?: string,
  ): Promise<{ client: RawClient; deviceId: string; publisher: string }> {
    const session = fixture.session();
    const publisher = fixture.participant(session);
    const subscriber = fixture.participant(session);
    const client = await fixture.ready(subscriber.token, sdkVersion === undefined ? {} : { sdkVersion });
    const deviceId = fixture.core.connectedDevice(subscriber.id)!.id;
    const other = await fixture.ready(publisher.token, { uniqueId: 'publisher' });
    fixture.media.streams = [{ streamId: 'stream-1', publisherMsid: 'm', kinds: ['audio'] }];
    const mediaMetadata = { mediaStreams: { m: { alias: '~alias' } } };
    await other.call('offerSdp', { sdpOffer: 'offer', mediaMetadata });
    return { client, deviceId, publisher: publisher.id };
  }

  const offer = (deviceId: string, revision: number) => ({
    deviceId,
    sdpOffer: `offer ${String(revision)}`,
    revision,
    streams: [{ streamId: 'stream-1', kinds: ['audio' as const] }],
    layout: ['audio' as const],
  });

  it('passes deliveries on and tells the page whose stream it is', async () => {
    await start();
    const { client, deviceId, publisher } = await subscribed();
    expect(fixture.media.deliveries).toEqual([[{ streamId: 'stream-1', kinds: ['audio'] }]]);
    fixture.media.emit('subscribeOffer', offer(deviceId, 7));
    const notification = await client.waitFor(method('sdpOffer'));
    expect(notification).toEqual({
      jsonrpc: '2.0',
      method: 'sdpOffer',
      params: {
        endpointId: deviceId,
        sdpOffer: 'offer 7',
        sdpRevision: 7,
        streamMetadata: {
          'stream-1': {
            endpointId: 'stream-1',
            alias: '~alias',
            mediaTypes: ['AUDIO'],
            participantId: publisher,
          },
        },
      },
    });
  });

  it('writes a leading tilde so that a client with circular-json does not take it for a reference', async () => {
    await start();
    const { client, deviceId } = await subscribed('0.9.2-beta.1');
    fixture.media.emit('subscribeOffer', offer(deviceId, 7));
    const notification = await client.waitFor(method('sdpOffer'));
    expect(notification).toMatchObject({
      params: { streamMetadata: { 'stream-1': { alias: '\\x7ealias' } } },
    });
  });

  it('holds offers back until the page is ready', async () => {
    await start();
    const { id, token } = fixture.participant();
    const client = await fixture.open(token);
    const deviceId = await vi.waitFor(() => {
      const device = fixture.core.connectedDevice(id);
      expect(device).toBeDefined();
      return device!.id;
    });
    fixture.media.emit('subscribeOffer', offer(deviceId, 1));
    fixture.media.emit('subscribeOffer', offer(deviceId, 2));
    await client.call('setMediaPreferences', { protocol: 'WEBRTC' });
    await client.waitFor(method('sdpOffer'));
    expect(client.frames.map((frame) => frame['method'] ?? 'answer')).toEqual(['answer', 'sdpOffer']);
    expect(client.frames[1]).toMatchObject({ params: { sdpRevision: 2 } });
  });

  it('acknowledges an answer before acting on it', async () => {
    await start();
    const { client } = await subscribed();
    expect((await client.call('answerSdp', { sdpAnswer: 'answer' }))['result']).toEqual({});
    await vi.waitFor(() => expect(fixture.media.answers).toEqual(['answer']));
  });

  it('keeps what a restarted gateway must know to serve the page again', async () => {
    await start();
    const { client, deviceId } = await subscribed();
    fixture.media.emit('subscribeOffer', offer(deviceId, 7));
    await client.waitFor(method('sdpOffer'));
    expect(fixture.core.resumePoint(participantOf(deviceId), 'unique-1')).toEqual({
      layout: ['audio'],
      revision: 7,
    });
  });

  const participantOf = (deviceId: string): string =>
    fixture.core
      .participants(ACCOUNT, {})
      .items.find(({ id }) => fixture.core.connectedDevice(id)?.id === deviceId)!.id;
});

describe('sockets that come and go', () => {
  async function lost(): Promise<{ id: string; token: string; deviceId: string; left: string[] }> {
    await start({ grace: { silentMs: 9_000, longestMs: 60_000 } });
    const left: string[] = [];
    fixture.core.on('left', ({ reason }) => left.push(reason));
    const who = fixture.participant();
    const gone = new Promise<void>((resolve) => fixture.core.on('signallingLost', () => resolve()));
    const client = await fixture.ready(who.token);
    const deviceId = fixture.core.connectedDevice(who.id)!.id;
    client.socket.terminate();
    await gone;
    return { ...who, deviceId, left };
  }

  /** Lets time pass in steps, so that what is asked in between can be answered. */
  async function pass(ms: number): Promise<void> {
    for (let passed = 0; passed < ms; passed += 500) {
      fixture.clock.advance(500);
      await new Promise((resolve) => setImmediate(resolve));
    }
  }

  it('takes a new socket of the same page for the same device, without a word from the page', async () => {
    const { id, token, deviceId } = await lost();
    await fixture.open(token);
    await vi.waitFor(() => expect(fixture.media.resumed).toEqual([deviceId]));
    expect(fixture.core.connectedDevice(id)?.id).toBe(deviceId);
    expect(fixture.media.closed).toEqual([]);
  });

  it('fails the calls that went down with the old socket, which the page would wait for for ever', async () => {
    await start();
    const { token } = fixture.participant();
    const first = await fixture.ready(token);
    first.socket.terminate();
    const again = await fixture.open(token);
    await again.waitFor(({ id }) => id === 3);
    expect(again.frames).toMatchObject([1, 2, 3].map((id) => ({ id, error: { code: -32000 } })));
  });

  it('offers nothing more to pages when it is stopped', async () => {
    await start();
    const { id, token } = fixture.participant();
    const client = await fixture.ready(token);
    const deviceId = fixture.core.connectedDevice(id)!.id;
    fixture.core.on('left', () => {
      // As when others' streams go.
      fixture.media.emit('subscribeOffer', { deviceId, sdpOffer: 'o', revision: 1, streams: [], layout: [] });
    });
    await fixture.gateway.stop();
    expect((await client.closed).code).toBe(1012);
    expect(client.frames.filter(method('sdpOffer'))).toEqual([]);
  });

  it('takes the page back with a token that has expired since', async () => {
    await start();
    const { id, token } = fixture.participant();
    const authenticate = fixture.core.authenticate.bind(fixture.core);
    const first = await fixture.ready(token);
    vi.spyOn(fixture.core, 'authenticate').mockImplementation((given, options) => {
      if (options?.ignoreExpiry === true) return authenticate(given);
      // What the core says of a token past its time.
      throw new PatchbayError('PATCHBAY_TOKEN_EXPIRED', 'The token has expired.');
    });
    first.socket.terminate();
    await fixture.open(token);
    await vi.waitFor(() => expect(fixture.media.resumed).toHaveLength(1));
    expect((await (await fixture.open(token, { uniqueId: 'another' })).closed).code).toBe(1000);
    expect(fixture.core.connectedDevice(id)?.externalId).toBe('unique-1');
  });

  it('keeps a device while its media shows that it lives, but not for ever', async () => {
    const { left } = await lost();
    fixture.media.silentMs = 20;
    await pass(30_000);
    expect(left).toEqual([]);
    await pass(40_000);
    expect(left).toEqual(['lost']);
  });

  it('gives a device up when its media falls silent too', async () => {
    const { left, deviceId } = await lost();
    fixture.media.silentMs = 9_500;
    await pass(2_000);
    expect(left).toEqual(['lost']);
    expect(fixture.media.closed).toEqual([deviceId]);
  });

  it('gives a device that never had media up after the time for silence', async () => {
    const { left } = await lost();
    await pass(8_000);
    expect(left).toEqual([]);
    await pass(3_000);
    expect(left).toEqual(['lost']);
  });

  it('cuts a socket that gives no sign of life', async () => {
    await start();
    const gone = vi.fn();
    fixture.core.on('signallingLost', gone);
    const client = await fixture.ready(fixture.participant().token);
    client.socket.pause();
    fixture.clock.advance(2 * KEEPALIVE_MS);
    await vi.waitFor(() => expect(gone).toHaveBeenCalledOnce());
  });

  it('ends the device at once when the page leaves, or closes with 1000', async () => {
    await start();
    const left: string[] = [];
    fixture.core.on('left', ({ reason }) => left.push(reason));
    const first = await fixture.ready(fixture.participant().token);
    first.notify('leave');
    expect((await first.closed).code).toBe(1000);
    const second = await fixture.ready(fixture.participant().token);
    second.socket.close(1000);
    await vi.waitFor(() => expect(left).toEqual(['left', 'left']));
  });

  it('tells kicked pages to stay away and, at a shutdown, all others to come back', async () => {
    await start();
    const kicked = fixture.participant();
    const other = fixture.participant();
    const kickedClient = await fixture.ready(kicked.token, { uniqueId: 'kicked' });
    const otherClient = await fixture.ready(other.token, { uniqueId: 'other' });
    fixture.core.disconnectDevice(ACCOUNT, kicked.id);
    expect(await kickedClient.closed).toEqual({ code: 1000, reason: 'disconnected' });
    await fixture.gateway.stop();
    expect((await otherClient.closed).code).toBe(1012);
  });
});

describe('abuse', () => {
  it('takes a message of 1 MiB and closes with 1009 for a longer one', async () => {
    await start();
    const client = await fixture.ready(fixture.participant().token);
    const frame = (bytes: number): string => {
      const [head, tail] = ['{"jsonrpc":"2.0","id":"big","method":"ping","params":{"x":"', '"}}'];
      return head + 'x'.repeat(bytes - head.length - tail.length) + tail;
    };
    client.send(frame(1024 * 1024));
    expect(await client.waitFor(({ id }) => id === 'big')).toMatchObject({ result: {} });
    client.send(frame(1024 * 1024 + 1));
    expect((await client.closed).code).toBe(1009);
  });

  it('answers what is not JSON-RPC with errors, and closes with 1008 when it goes on', async () => {
    await start({ limits: { invalidMessages: 3 } });
    const client = await fixture.ready(fixture.participant().token);
    client.send('{');
    expect(await client.waitFor(({ error }) => error !== undefined)).toMatchObject({
      id: null,
      error: { code: -32700 },
    });
    for (const frame of ['[]', '17', '{"jsonrpc":"1.0"}']) client.send(frame);
    expect((await client.closed).code).toBe(1008);
  });

  it('answers wrong parameters and unknown methods with errors', async () => {
    await start();
    const client = await fixture.ready(fixture.participant().token);
    expect(await client.call('offerSdp', { sdpOffer: 5 })).toMatchObject({ error: { code: -32602 } });
    expect(await client.call('offerSdp', null)).toMatchObject({ error: { code: -32602 } });
    expect(await client.call('answerSdp', [])).toMatchObject({ error: { code: -32602 } });
    expect(await client.call('dropTables')).toMatchObject({ error: { code: -32601 } });
  });

  it('closes a socket that floods, and leaves the others alone', async () => {
    await start({ limits: { messages: { burst: 20, perSecond: 1 } } });
    const quiet = await fixture.ready(fixture.participant().token, { uniqueId: 'quiet' });
    const loud = await fixture.ready(fixture.participant().token, { uniqueId: 'loud' });
    for (let i = 0; i < 100; i += 1) loud.notify('deviceDiagnostics', { logs: [] });
    expect((await loud.closed).code).toBe(1008);
    expect((await quiet.call('ping'))['result']).toEqual({});
  });

  it('refuses more sockets than an address may have, until one of them is gone', async () => {
    await start({ limits: { socketsPerAddress: 2 } });
    const { token } = fixture.participant();
    const first = await fixture.ready(token);
    await fixture.ready(fixture.participant().token, { uniqueId: 'second' });
    expect((await new RawClient(fixture.url(token)).closed).code).toBe(1006);
    expect(fixture.gateway.counters()).toMatchObject({ sockets: 2, refusedUpgrades: 1 });
    first.close();
    await vi.waitFor(() => expect(fixture.gateway.counters().sockets).toBe(1));
    await fixture.ready(token);
  });

  it('does not let one participant make devices without end', async () => {
    await start({ limits: { devices: { burst: 2, perSecond: 1 } } });
    const { token } = fixture.participant();
    for (const uniqueId of ['a', 'b']) await fixture.ready(token, { uniqueId });
    expect((await (await fixture.open(token, { uniqueId: 'c' })).closed).code).toBe(1013);
  });

  it('closes a socket that sends bytes instead of text', async () => {
    await start();
    const client = await fixture.ready(fixture.participant().token);
    client.socket.send(Buffer.from([1, 2, 3]));
    expect((await client.closed).code).toBe(1003);
  });
});
