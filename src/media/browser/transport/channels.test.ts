import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { silentLog } from '../../../shared/testing/index.js';
import { DataChannelPipes, freeUdpPort } from './datachannel-pipes.js';
import type { Pipe, TransportDescription } from './pipe.js';

const PAGE = fileURLToPath(new URL('../testing/flooding-page.ts', import.meta.url));
const MEBIBYTE = 1024 * 1024;
/** What the process may hold of one page that floods while the main thread is busy for a second. */
const MAX_HELD_MIB = 32;

let pipes: DataChannelPipes;
let page: ChildProcess;
beforeEach(async () => {
  pipes = new DataChannelPipes({
    host: '127.0.0.1',
    port: await freeUdpPort('127.0.0.1', 0),
    log: silentLog,
  });
});
afterEach(async () => {
  page.kill('SIGKILL');
  await pipes.stop();
});

/** A page that is connected and floods when told to `go`. */
async function connect(args: readonly string[]): Promise<{ pipe: Pipe; abused: Promise<void> }> {
  page = fork(PAGE, args, { execArgv: ['--import', 'tsx'] });
  const [remote] = (await once(page, 'message')) as [TransportDescription];
  const open = once(page, 'message');
  let abuse = (): void => undefined;
  const abused = new Promise<void>((resolve) => (abuse = resolve));
  const ignore = (): void => undefined;
  const handlers = { onPacket: ignore, onHeartbeat: ignore, onState: ignore, onAbuse: () => abuse() };
  const pipe = await pipes.answer(remote, true, handlers);
  page.send(pipe.local);
  expect((await open)[0]).toBe('open');
  return { pipe, abused };
}

/** Of a page that floods, the memory that the process took while the main thread read nothing for a second. */
function heldInABusySecond(): number {
  const before = process.memoryUsage.rss();
  page.send('go');
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1_000);
  return (process.memoryUsage.rss() - before) / MEBIBYTE;
}

describe('a page that floods its data channels', () => {
  it('is shut for messages on a channel of the clients, of which little is held meanwhile', async () => {
    const { pipe, abused } = await connect(['1']);
    expect(heldInABusySecond()).toBeLessThan(MAX_HELD_MIB);
    await abused;
    expect(pipe.state).toBe('failed');
  });

  it.each([
    ['large messages on a channel of the clients', ['65536']],
    ['messages on channels that it opens itself', ['1', 'opened']],
    ['large messages on channels that it opens itself', ['65536', 'opened']],
  ])('neither fills the memory nor blocks the others by %s', async (_what, args) => {
    const { pipe } = await connect(args);
    expect(heldInABusySecond()).toBeLessThan(MAX_HELD_MIB);
    const flooding = page;
    // On the same port, by the same threads.
    await connect(['1']);
    pipe.close();
    flooding.kill('SIGKILL');
  });
});
