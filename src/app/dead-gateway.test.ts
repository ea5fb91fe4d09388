import { once } from 'node:events';
import { type AddressInfo, createServer, type Server } from 'node:net';
import { afterEach, expect, it } from 'vitest';
import { nobodyListensAt } from './dead-gateway.js';

const servers: Server[] = [];
afterEach(() => servers.splice(0).forEach((server) => server.close()));

async function listening(): Promise<{ host: string; port: number; server: Server }> {
  const server = createServer((socket) => socket.on('error', () => undefined).resume()).listen(
    0,
    '127.0.0.1',
  );
  servers.push(server);
  await once(server, 'listening');
  return { host: '127.0.0.1', port: (server.address() as AddressInfo).port, server };
}

it('is so when all who listened are gone', async () => {
  const [one, other] = [await listening(), await listening()];
  expect(await nobodyListensAt([one, other])).toBe(false);
  one.server.close();
  await once(one.server, 'close');
  expect(await nobodyListensAt([one, other])).toBe(false);
  other.server.close();
  await once(other.server, 'close');
  expect(await nobodyListensAt([one, other])).toBe(true);
});

it('is not known of nobody, nor of a machine that does not answer', async () => {
  expect(await nobodyListensAt([])).toBe(false);
  // RFC 6761: there is no such machine.
  expect(await nobodyListensAt([{ host: 'gone.invalid', port: 9 }])).toBe(false);
});
