import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { afterEach, expect, it } from 'vitest';
import { WebSocketServer } from 'ws';
import { NO_USAGE, ACCOUNT, basic, startApi, type TestGateway } from './testing/gateway.js';

const sockets: Socket[] = [];
afterEach(() => {
  for (const socket of sockets.splice(0)) socket.destroy();
});

/** A client that sends only this, and never closes its end by itself. */
async function client(gateway: TestGateway, text: string): Promise<{ socket: Socket; heard: () => string }> {
  const { port } = new URL(gateway.url);
  const socket = connect({ port: Number(port), host: '127.0.0.1', allowHalfOpen: true });
  sockets.push(socket);
  socket.on('error', () => undefined);
  let heard = '';
  socket.on('data', (chunk: Buffer) => (heard += chunk.toString()));
  await once(socket, 'connect');
  socket.write(text);
  return { socket, heard: () => heard };
}

const head = (line: string, more: string[] = []): string =>
  [line, 'Host: x', `Authorization: ${basic(ACCOUNT)}`, ...more, '', ''].join('\r\n');
const POST = `POST /v1/accounts/${ACCOUNT.id}/sessions HTTP/1.1`;
const USAGE = head(`GET /v1/accounts/${ACCOUNT.id}/usage HTTP/1.1`);

it('ends without waiting for connections without a request, and answers requests under way', async () => {
  let asked = (): void => undefined;
  let answer = (): void => undefined;
  const isAsked = new Promise<void>((resolve) => (asked = resolve));
  const query = (): Promise<{ items: []; totals: [] }> =>
    new Promise((resolve) => {
      answer = () => resolve({ items: [], totals: [] });
      asked();
    });
  // Long, so that it plays no part.
  const gateway = await startApi({ usage: { ...NO_USAGE, query }, closeMs: 600_000 });
  const silent = await client(gateway, '');
  const busy = await client(gateway, USAGE);
  await isAsked;
  const stopped = gateway.stop();
  await once(silent.socket, 'end');
  expect(busy.heard()).toBe('');
  answer();
  await Promise.all([once(busy.socket, 'end'), stopped]);
  expect(busy.heard()).toContain('HTTP/1.1 200 OK');
  expect(busy.heard()).toContain('"items":[]');
});

it('does not wait long for half a request, a request that is never answered, or a WebSocket', async () => {
  let asked = (): void => undefined;
  const isAsked = new Promise<void>((resolve) => (asked = resolve));
  const query = (): Promise<never> => new Promise(() => asked());
  const gateway = await startApi({ usage: { ...NO_USAGE, query }, closeMs: 200 });
  new WebSocketServer({ server: gateway.server });
  const upgrade = ['Connection: Upgrade', 'Upgrade: websocket', 'Sec-WebSocket-Version: 13'];
  const key = 'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==';
  const page = await client(gateway, head('GET / HTTP/1.1', [...upgrade, key]));
  await once(page.socket, 'data');
  const clients = [
    page,
    await client(gateway, `${POST}\r\nHost:`),
    await client(gateway, head(POST, ['Content-Type: application/json', 'Content-Length: 10'])),
    await client(gateway, USAGE),
  ];
  await isAsked;
  const ended = Promise.all(clients.map(({ socket }) => once(socket, 'end')));
  await gateway.stop();
  await ended;
});
