import { PassThrough } from 'node:stream';
import { expect, it } from 'vitest';
import { FakeClock } from '../shared/testing/index.js';
import { SocketGate, type SocketGateOptions } from './socket-gate.js';

const PLENTY = { burst: 1_000, perSecond: 1_000 };

function gateWith(options: SocketGateOptions, socketsPerAddress = 1) {
  const limits = { sockets: 10, socketsPerAddress, connects: PLENTY };
  const gate = new SocketGate(limits, new FakeClock(), {
    clientAddress: ({ headers }) => headers.host!,
    ...options,
  });
  return {
    gate,
    enter: async (host: string, isHere = false) => {
      const stream = new PassThrough();
      const address = await gate.enter({ headers: { host }, socket: {} }, stream, () =>
        Promise.resolve(isHere),
      );
      return { stream, address, answer: () => String(stream.read()).split('\r\n') };
    },
  };
}

it.each([
  ['192.0.2.1', '::ffff:192.0.2.1'],
  ['2001:db8:0:1::1', '2001:db8:0:1:ffff::2'],
])('counts %s and %s as one address, until the socket is closed', async (one, other) => {
  const { gate, enter } = gateWith({});
  const first = await enter(one);
  expect(first.address).toBe(one);
  expect((await enter(other)).answer()[0]).toBe('HTTP/1.1 429 Too Many Requests');
  expect(gate).toMatchObject({ sockets: 1, refused: 1 });
  await new Promise((closed) => first.stream.on('close', closed).destroy());
  expect((await enter(other)).address).toBe(other);
});

it('refuses new devices while there is no room for them, but not those that come back', async () => {
  const full = gateWith({ hasRoom: () => false });
  expect((await full.enter('192.0.2.1')).answer()[0]).toBe('HTTP/1.1 503 Service Unavailable');
  const { enter } = gateWith({ admit: () => 7 }, 5);
  expect((await enter('192.0.2.1')).answer()).toContain('Retry-After: 7');
  expect((await enter('192.0.2.1', true)).address).toBe('192.0.2.1');
});
