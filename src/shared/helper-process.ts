import { closeSync, readdirSync, readlinkSync } from 'node:fs';
import { Worker } from 'node:worker_threads';
import { runsFromSource } from './places.js';

/** The IPC channel's, as `fork` sets it up. */
const CHANNEL_FD = 3;
/** How often to check that the gateway is still alive, while work blocks the main thread. */
const LOOK_MS = 250;

/**
 * To be called by a process that the gateway forked, before anything else: it lives no longer than the gateway, leaves
 * signals of the terminal to it, and holds nothing open that was the gateway's.
 */
export function becomeHelper(): void {
  closeInherited();
  dieWithParent();
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => undefined);
  process.on('disconnect', () => process.exit(0));
}

/**
 * Closes inherited descriptors that libraries opened in the gateway without O_CLOEXEC, as libdatachannel does with its
 * port, which would otherwise stay in use after the gateway's death. Pipes with both ends here are this process's own.
 */
function closeInherited(): void {
  if (process.platform !== 'linux' || runsFromSource) return;
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

/** Ends this process when the gateway is killed, even during long work, in which no `disconnect` event arrives. */
function dieWithParent(): void {
  const watch = `const { parent } = require('node:worker_threads').workerData;
    setInterval(() => { if (process.ppid !== parent) process.kill(process.pid, 'SIGKILL'); }, ${LOOK_MS});`;
  new Worker(watch, { eval: true, workerData: { parent: process.ppid } }).unref();
}
