import { describe, expect, it } from 'vitest';
import { ACCOUNT } from '../../core/testing/index.js';
import { answerAndReset } from '../../shared/testing/stubborn-peer.js';
import { useGateway } from './testing/gateway-fixture.js';
import { RawClient } from './testing/raw-client.js';

const stage = useGateway();

describe('connecting', () => {
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
  ])('frees the socket that it refused for %s, though its peer does not', async (_what, path, status) => {
    await stage.start({ limits: { sockets: 0 } });
    const { port, pathname } = new URL(stage.fixture.url('', { path }));
    const upgrade = `GET ${pathname} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n`;
    expect(await answerAndReset(Number(port), upgrade)).toContain(status);
  });

  it('answers with 503 while the process may have no more sockets', async () => {
    await stage.start({ hasRoom: () => false });
    const { port } = new URL(stage.fixture.url(''));
    const upgrade = `GET /v3/ HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n`;
    expect(await answerAndReset(Number(port), upgrade)).toContain('503 Service Unavailable');
    expect(stage.fixture.gateway.counters().refusedUpgrades).toBe(1);
  });

  it.each([
    ['no token', ''],
    ['a token that is none', 'not.a.token'],
  ])('accepts the socket and closes it with 1000 for %s', async (_, token) => {
    await stage.start();
    const closed = await (await stage.fixture.open(token)).closed;
    expect(closed.code).toBe(1000);
    expect(closed.reason).not.toBe('');
  });

  it('frees a socket that was closed so, though the page never answers the close frame', async () => {
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
    expect(stage.fixture.gateway.counters().sockets).toBe(0);
  });

  it('closes with 1000 when the participant has been deleted', async () => {
    await stage.start();
    const { id, token } = stage.fixture.participant();
    stage.fixture.core.deleteParticipant(ACCOUNT, id);
    expect((await (await stage.fixture.open(token)).closed).code).toBe(1000);
  });

  it('connects the device under the id that the client gives itself', async () => {
    await stage.start();
    const { id, token } = stage.fixture.participant();
    await stage.fixture.ready(token, { uniqueId: 'the-page' });
    expect(stage.fixture.core.connectedDevice(id)).toMatchObject({ kind: 'browser', externalId: 'the-page' });
  });

  it('lets the newest device win and sends the older away with 1000', async () => {
    await stage.start();
    const { id, token } = stage.fixture.participant();
    const older = await stage.fixture.ready(token, { uniqueId: 'older' });
    await stage.fixture.ready(token, { uniqueId: 'newer' });
    expect(await older.closed).toEqual({ code: 1000, reason: 'replaced' });
    expect(stage.fixture.core.connectedDevice(id)?.externalId).toBe('newer');
  });
});
