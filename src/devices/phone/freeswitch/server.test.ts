import { pino } from 'pino';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import type { FreeswitchConnection } from './connection.js';
import { FreeswitchServer } from './server.js';

let status = '';
const connection = {
  hangUpLeftovers: () => Promise.resolve(),
  close: () => undefined,
  api: () => Promise.resolve(status),
} as unknown as FreeswitchConnection;
let server: FreeswitchServer;

function load(channels: number, max: number): void {
  status = `${channels} session(s) - peak 9, last 5min 9\n${max} session(s) max`;
}

beforeEach(async () => {
  vi.useFakeTimers();
  load(0, 10);
  const options = {
    host: '127.0.0.1',
    port: 8021,
    secret: 'x',
    gatewayId: 'x',
    log: pino({ level: 'silent' }),
    onDown: () => undefined,
    connect: () => Promise.resolve(connection),
    spared: () => new Set<string>(),
  };
  server = new FreeswitchServer({ ...options, srf: () => expect.unreachable() });
  await server.start();
});

afterEach(() => {
  server.stop();
  vi.useRealTimers();
});

const available = (): boolean => server.status().available;

it('is full two channels short of its limit, as each call takes two', async () => {
  load(8, 10);
  await server.check();
  expect(available()).toBe(true);
  load(9, 10);
  await server.check();
  expect(available()).toBe(false);
  load(7, 10);
  await server.check();
  server.reserve();
  expect(available()).toBe(false);
});

it('is passed over after a refusal, for longer after each, and tried by one call at a time', () => {
  server.refused(new Error('503'));
  // Of calls that were under way.
  server.refused(new Error('503'));
  expect(available()).toBe(false);
  vi.advanceTimersByTime(999);
  expect(available()).toBe(false);
  vi.advanceTimersByTime(1);
  expect(available()).toBe(true);
  server.reserve();
  expect(available()).toBe(false);
  server.refused(new Error('503'));
  vi.advanceTimersByTime(1999);
  expect(available()).toBe(false);
  vi.advanceTimersByTime(1);
  expect(available()).toBe(true);
  expect(server.status().refusals).toBe(3);
});

it('is used as before when a call went well after a refusal', () => {
  server.refused(new Error('503'));
  vi.advanceTimersByTime(1000);
  server.reserve();
  server.accepted();
  expect(available()).toBe(true);
  server.reserve();
  expect(available()).toBe(true);
});

it('is tried again when the one call that tried it never tells', () => {
  server.refused(new Error('503'));
  vi.advanceTimersByTime(1000);
  server.reserve();
  vi.advanceTimersByTime(6000);
  expect(available()).toBe(true);
});
