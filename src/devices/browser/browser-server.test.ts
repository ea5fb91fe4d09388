import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ACCOUNT } from '../../core/testing/index.js';
import { answerAndReset } from '../../shared/testing/stubborn-peer.js';
import { parseSocketRequest } from './browser-server.js';
import { useBrowserServer } from './testing/server-fixture.js';
import { RawClient } from './testing/raw-client.js';

const stage = useBrowserServer();

describe('the browser server', () => {
  it.each(['/v3', '/v3/', '//v3/', '/prefix/of/a/proxy/v3/'])('accepts the path %s', async (path) => {
    await stage.start();
    const { token } = stage.fixture.participant();
    const client = await stage.fixture.open(token, { path });
    expect(await client.call('setMediaPreferences', { protocol: 'WEBRTC' })).toEqual({
      jsonrpc: '2.0',
      result: {},
      id: 1,
    });
  });

  it('answers other paths with 404', async () => {
    await stage.start();
    const client = new RawClient(stage.fixture.url('', { path: '/v4/' }));
    expect((await client.closed).code).toBe(1006);
  });

  it.each([
    ['other paths', '/v4/', '404 Not Found'],
    ['too many sockets', '/v3/', '429 Too Many Requests'],
  ])('closes the socket that it refused for %s, though its peer does not', async (_what, path, status) => {
    await stage.start({ limits: { sockets: 0 } });
    const { port, pathname } = new URL(stage.fixture.url('', { path }));
    const upgrade = `GET ${pathname} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n`;
    expect(await answerAndReset(Number(port), upgrade)).toContain(status);
  });

  it('answers with 503 while the process may not open more sockets', async () => {
    await stage.start({ hasRoom: () => false });
    const { port } = new URL(stage.fixture.url(''));
    const upgrade = `GET /v3/ HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n`;
    expect(await answerAndReset(Number(port), upgrade)).toContain('503 Service Unavailable');
    expect(stage.fixture.browsers.counters().refusedUpgrades).toBe(1);
  });

  it.each([
    ['no token', ''],
    ['an invalid token', 'not.a.token'],
  ])('accepts the socket and closes it with 1000 for %s', async (_, token) => {
    await stage.start();
    const closed = await (await stage.fixture.open(token)).closed;
    expect(closed.code).toBe(1000);
    expect(closed.reason).not.toBe('');
  });

  it('frees a refused socket although the page never answers the close frame', async () => {
    await stage.start({ limits: { closeMs: 100 } });
    const { port, search } = new URL(stage.fixture.url('not.a.token'));
    const upgrade = [
      `GET /v3/${search} HTTP/1.1`,
      'Host: x',
      'Connection: Upgrade',
      'Upgrade: websocket',
      'Sec-WebSocket-Version: 13',
      'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
    ];
    const answer = await answerAndReset(Number(port), `${upgrade.join('\r\n')}\r\n\r\n`);
    expect(answer).toContain('101 Switching Protocols');
    expect(stage.fixture.browsers.counters().sockets).toBe(0);
  });

  it('closes with 1000 when the participant has been deleted', async () => {
    await stage.start();
    const { id, token } = stage.fixture.participant();
    stage.fixture.core.deleteParticipant(ACCOUNT, id);
    expect((await (await stage.fixture.open(token)).closed).code).toBe(1000);
  });

  it('connects the device with the id that the client chose', async () => {
    await stage.start();
    const { id, token } = stage.fixture.participant();
    await stage.fixture.ready(token, { uniqueId: 'the-page' });
    expect(stage.fixture.core.connectedDevice(id)).toMatchObject({ kind: 'browser', externalId: 'the-page' });
  });

  it('replaces the older device by the newer one and closes it with 1000', async () => {
    await stage.start();
    const { id, token } = stage.fixture.participant();
    const older = await stage.fixture.ready(token, { uniqueId: 'older' });
    await stage.fixture.ready(token, { uniqueId: 'newer' });
    expect(await older.closed).toEqual({ code: 1000, reason: 'replaced' });
    expect(stage.fixture.core.connectedDevice(id)?.externalId).toBe('newer');
  });
});

describe('parseSocketRequest', () => {
  it('reads version, token, unique id and SDK version', () => {
    const target = '//v3/?token=a.b.c&client=browser&sdkVersion=0.12.0-beta.1&uniqueId=6f-1';
    expect(parseSocketRequest(target)).toEqual({
      version: 'V3',
      token: 'a.b.c',
      uniqueId: '6f-1',
      sdkVersion: '0.12.0-beta.1',
    });
  });

  it.each(['/', '/v3x', '/v1/accounts', '/av3/', '/v3/more'])('refuses %s', (target) => {
    expect(parseSocketRequest(target)).toBeUndefined();
  });

  it('makes an id for a client without a valid one', () => {
    for (const uniqueId of ['', 'two words', 'x'.repeat(500), '\u{1F600}']) {
      const query = new URLSearchParams({ token: 't', uniqueId }).toString();
      expect(parseSocketRequest(`/v3/?${query}`)?.uniqueId).toMatch(/^[0-9a-f-]{36}$/);
    }
  });

  it('takes any query and gives a valid id', () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        const request = parseSocketRequest(`/v3/?${text}`);
        expect(request?.uniqueId).toMatch(/^[\w.:@+-]{1,128}$/);
      }),
    );
  });
});
