import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { silentLog } from '../../../shared/testing/index.js';
import { Diagnostics, Heartbeat } from './channels.js';
import { DataChannelTransports, freeUdpPort } from './datachannel-transports.js';
import type { Transport, TransportDescription } from './transport.js';

const PAGE = fileURLToPath(new URL('../testing/flooding-page.ts', import.meta.url));
const MEBIBYTE = 1024 * 1024;
/** What the process may hold of one page that floods while the main thread is busy for a second. */
const MAX_HELD_MIB = 32;

let transports: DataChannelTransports;
let page: ChildProcess;

/** A page that is connected and floods when told to `go`. */
async function connect(args: readonly string[]): Promise<{ transport: Transport; abused: Promise<void> }> {
  page = fork(PAGE, args, { execArgv: ['--import', 'tsx'] });
  const [remote] = (await once(page, 'message')) as [TransportDescription];
  const open = once(page, 'message');
  let abuse = (): void => undefined;
  const abused = new Promise<void>((resolve) => (abuse = resolve));
  const ignore = (): void => undefined;
  const handlers = { onPacket: ignore, onHeartbeat: ignore, onState: ignore, onAbuse: () => abuse() };
  const transport = await transports.answer(remote, true, handlers);
  page.send(transport.local);
  expect((await open)[0]).toBe('open');
  return { transport, abused };
}

/** Of a page that floods, the memory that the process took while the main thread read nothing for a second. */
function heldInABusySecond(): number {
  const before = process.memoryUsage.rss();
  page.send('go');
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1_000);
  return (process.memoryUsage.rss() - before) / MEBIBYTE;
}

describe('a page that floods its data channels', () => {
  beforeEach(async () => {
    transports = new DataChannelTransports({
      host: '127.0.0.1',
      port: await freeUdpPort('127.0.0.1', 0),
      log: silentLog,
    });
  });
  afterEach(async () => {
    page.kill('SIGKILL');
    await transports.stop();
  });

  it('is cut off for messages on a channel of the clients, of which few are held meanwhile', async () => {
    const { transport, abused } = await connect(['1']);
    expect(heldInABusySecond()).toBeLessThan(MAX_HELD_MIB);
    await abused;
    expect(transport.state).toBe('failed');
  });

  it.each([
    ['large messages on a channel of the clients', ['65536']],
    ['messages on channels that it opens itself', ['1', 'opened']],
    ['large messages on channels that it opens itself', ['65536', 'opened']],
  ])('neither fills the memory nor blocks the others by %s', async (_what, args) => {
    const { transport } = await connect(args);
    expect(heldInABusySecond()).toBeLessThan(MAX_HELD_MIB);
    const flooding = page;
    // On the same port, by the same threads.
    await connect(['1']);
    transport.close();
    flooding.kill('SIGKILL');
  });
});

describe('the heartbeat of a page', () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());

  function channel() {
    const sent: string[] = [];
    return {
      sent,
      open: true,
      buffered: 0,
      isOpen() {
        return this.open;
      },
      bufferedAmount() {
        return this.buffered;
      },
      sendMessage: (message: string) => sent.push(message) > 0,
    };
  }

  it('sends PING on an open channel', () => {
    const heartbeat = channel();
    const beating = new Heartbeat(heartbeat);
    heartbeat.open = false;
    vi.advanceTimersByTime(3_000);
    heartbeat.open = true;
    vi.advanceTimersByTime(6_000);
    expect(heartbeat.sent).toEqual(['PING', 'PING']);
    beating.stop();
    expect(vi.getTimerCount()).toBe(0);
  });

  it('sends no PING to a page that has not read the last', () => {
    const heartbeat = channel();
    const beating = new Heartbeat(heartbeat);
    heartbeat.buffered = 4;
    vi.advanceTimersByTime(30_000);
    expect(heartbeat.sent).toEqual([]);
    beating.stop();
  });

  it('counts only PONG as a sign of life, whatever a page sends', () => {
    const beating = new Heartbeat(channel());
    expect(beating.isAnswer('PONG')).toBe(true);
    const bytes = fc.uint8Array().map((array) => Buffer.from(array));
    const other = fc.oneof(fc.string(), fc.constantFrom('pong', 'PONG ', 'PING', Buffer.from('PONG')), bytes);
    fc.assert(
      fc.property(
        other.filter((message) => message !== 'PONG'),
        (message) => !beating.isAnswer(message),
      ),
    );
    beating.stop();
  });
});

it('keeps the newest diagnostics until the channel is open', () => {
  const sent: string[] = [];
  let open = false;
  let opened: (() => void) | undefined;
  const diagnostics = new Diagnostics({
    isOpen: () => open,
    bufferedAmount: () => 0,
    sendMessage: (message) => sent.push(message) > 0,
    onOpen: (listener) => void (opened = listener),
  });
  for (let i = 0; i < 20; i += 1) diagnostics.send(String(i));
  expect(sent).toEqual([]);
  open = true;
  opened?.();
  diagnostics.send('last');
  expect(sent).toEqual([...Array.from({ length: 16 }, (_, i) => String(i + 4)), 'last']);
});
