import { closeSync, readdirSync, readlinkSync } from 'node:fs';
import { setPriority } from 'node:os';
import { Worker } from 'node:worker_threads';
import { connect, type Database, rows } from '../database.js';
import { type ReaderJob, runJob } from './queries.js';

/** The process that reads usage. It talks to the gateway by the IPC channel only, and writes no log. */

/** Rows in one message: the gateway can do other work between two messages. */
const SLICE = 100;
const LOWEST_PRIORITY = 19;
/** The IPC channel's, as `fork` sets it up. */
const CHANNEL_FD = 3;
/** How often to check that the gateway is still alive, while a query blocks the main thread. */
const LOOK_MS = 250;

closeInherited();
setPriority(LOWEST_PRIORITY);
dieWithParent();
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => undefined);
const database = openToRead(process.argv[2]!);
process.on('disconnect', () => process.exit(0));
process.on('message', (job) => void serve(job as ReaderJob));

async function serve(job: ReaderJob): Promise<void> {
  try {
    const found: readonly unknown[] = await runJob(await database, job);
    for (let at = 0; at < found.length; at += SLICE) await send({ found: found.slice(at, at + SLICE) });
    await send({ done: true });
  } catch (error) {
    await send({ error: error instanceof Error ? error.message : String(error) });
  }
}

/** Resolves when the channel has accepted the message. */
function send(message: object): Promise<void> {
  return new Promise((resolve, reject) => {
    process.send!(message, undefined, undefined, (error) => {
      if (error) reject(error);
      else resolve();
    });
  });
}

async function openToRead(path: string): Promise<Database> {
  const opened = connect(path);
  await rows(opened, 'PRAGMA query_only = ON');
  // Sorting must not write temporary files.
  await rows(opened, 'PRAGMA temp_store = MEMORY');
  return opened;
}

/**
 * Closes inherited descriptors that libraries opened in the gateway without O_CLOEXEC, as libdatachannel does with its
 * port, which would otherwise stay in use after the gateway's death. Pipes with both ends here are this process's own.
 */
function closeInherited(): void {
  if (process.platform !== 'linux' || import.meta.url.endsWith('.ts')) return;
  const open = readdirSync('/proc/self/fd').map((fd) => ({ fd: Number(fd), is: kindOf(fd) }));
  for (const { fd, is } of open) {
    const alone = open.filter((other) => other.is === is).length === 1;
    if (fd > CHANNEL_FD && (is.startsWith('socket:') || (is.startsWith('pipe:') && alone))) closeSync(fd);
  }
}

function kindOf(fd: string): string {
  try {
    return readlinkSync(`/proc/self/fd/${fd}`);
  } catch {
    // The descriptor of the listing itself, which is closed by now.
    return '';
  }
}

/** Ends this process when the gateway is killed, even during a long query, in which no `disconnect` event arrives. */
function dieWithParent(): void {
  const watch = `const { parent } = require('node:worker_threads').workerData;
    setInterval(() => { if (process.ppid !== parent) process.kill(process.pid, 'SIGKILL'); }, ${LOOK_MS});`;
  new Worker(watch, { eval: true, workerData: { parent: process.ppid } }).unref();
}
