import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { expect, it } from 'vitest';
import { freeUdpPort } from './datachannel-pipes.js';

it('finds a port, takes the one asked for, and refuses one in use', async () => {
  const port = await freeUdpPort('127.0.0.1', 0);
  expect(port).toBeGreaterThan(0);
  expect(await freeUdpPort('127.0.0.1', port)).toBe(port);
  const socket = createSocket('udp4').bind(0, '127.0.0.1');
  await once(socket, 'listening');
  await expect(freeUdpPort('127.0.0.1', socket.address().port)).rejects.toMatchObject({ code: 'NO_PORT' });
  socket.close();
});
