import { closeSync, readdirSync, readlinkSync } from 'node:fs';
import { setPriority } from 'node:os';
import { Worker } from 'node:worker_threads';
import { connect, type Database, rows } from '../database.js';
import { type ReaderJob, runJob } from './queries.js';

/** The whole process in which usage is read. What it says goes by the channel to the gateway, and nowhere else. */

/** So many of what was found go into a message: the gateway has other things to do between two of them. */
const SLICE = 100;
const LOWEST_PRIORITY = 19;
/** Of the channel to the gateway, as `fork` lays it. */
const CHANNEL_FD = 3;
/** How often it is looked whether the gateway is still there, while a query occupies the main thread. */
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

/** Resolves when the channel has taken it. */
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
  // What is sorted must not go to a file.
  await rows(opened, 'PRAGMA temp_store = MEMORY');
  return opened;
}

/**
 * Closes what libraries opened in the gateway without O_CLOEXEC, as the one of WebRTC does with its port: it would
 * stay taken after the gateway's death. A pipe of this process's own is here with both its ends.
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
    // That of the listing itself, which is closed again.
    return '';
  }
}

/** Also when the gateway is killed in the midst of a long query, which keeps the end of the channel from being seen. */
function dieWithParent(): void {
  const watch = `const { parent } = require('node:worker_threads').workerData;
    setInterval(() => { if (process.ppid !== parent) process.kill(process.pid, 'SIGKILL'); }, ${LOOK_MS});`;
  new Worker(watch, { eval: true, workerData: { parent: process.ppid } }).unref();
}
