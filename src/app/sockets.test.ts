import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import { type AddressInfo, connect, type Socket } from 'node:net';
import { pino } from 'pino';
import { Registry } from 'prom-client';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Descriptors, guardConnections, watchDescriptors } from './sockets.js';

let server: Server;
const clients: Socket[] = [];
beforeEach(() => {
  server = createServer((_request, response) => response.end('served'));
});
afterEach(async () => {
  for (const client of clients.splice(0)) client.destroy();
  if (server.listening) await new Promise((resolve) => server.close(resolve));
});

async function guarded(options: { limit?: number; open?: number; trustedProxies?: string[] }) {
  const metrics = new Registry();
  const descriptors = new Descriptors(options.limit ?? Infinity, options.open ?? 0);
  const { trustedProxies = [] } = options;
  guardConnections({ server, descriptors, metrics, trustedProxies, perAddress: 2 });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  return { metrics, descriptors };
}

/** Opens a connection. @returns whether the server kept it; it stays open then */
async function knock(): Promise<boolean> {
  const accepted = once(server, 'connection') as Promise<[Socket]>;
  const { port } = server.address() as AddressInfo;
  clients.push(connect(port, '127.0.0.1').on('error', () => undefined));
  const [socket] = await accepted;
  await new Promise((resolve) => setImmediate(resolve));
  return !socket.destroyed;
}

describe('HTTP connections', () => {
  it('are refused to an address that has too many, until one is closed', async () => {
    const { metrics } = await guarded({});
    expect([await knock(), await knock(), await knock()]).toEqual([true, true, false]);
    expect(await metrics.metrics()).toContain('refused_total{reason="address"} 1');
    const closed = new Promise((resolve) => clients[0]!.once('close', resolve));
    clients[0]!.destroy();
    await closed;
    await expect.poll(knock).toBe(true);
  });

  it('of a trusted proxy are not limited', async () => {
    await guarded({ trustedProxies: ['127.0.0.0/8'] });
    expect([await knock(), await knock(), await knock()]).toEqual([true, true, true]);
  });

  it('are refused while few descriptors are left, WebSockets first', async () => {
    const { metrics, descriptors } = await guarded({ limit: 100, open: 60 });
    expect([descriptors.forBrowsers, descriptors.forHttp]).toEqual([true, true]);
    descriptors.counted(70);
    expect([descriptors.forBrowsers, descriptors.forHttp]).toEqual([false, true]);
    descriptors.counted(83);
    expect([await knock(), await knock()]).toEqual([true, false]);
    expect(descriptors.forCalls).toBe(true);
    descriptors.counted(93);
    expect(descriptors.forCalls).toBe(false);
    expect(await metrics.metrics()).toContain('refused_total{reason="descriptors"} 1');
  });
});

it('counts the descriptors of this process and finds their limit', async () => {
  const metrics = new Registry();
  const { descriptors, stop } = await watchDescriptors(pino({ level: 'silent' }), metrics);
  stop();
  expect(descriptors.limit).toBeGreaterThan(100);
  if (process.platform === 'linux') expect(descriptors.open).toBeGreaterThan(3);
  expect(await metrics.metrics()).toContain(`patchbay_descriptors{which="open"} ${String(descriptors.open)}`);
});
