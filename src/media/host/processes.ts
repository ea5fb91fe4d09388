import { readFileSync, readlinkSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';

const POLL_MS = 25;
/** How long a process may take to end before it is killed. */
const STOP_MS = 5_000;

/** The PID namespace of this process (pid_namespaces(7)); empty where there are none. */
export function pidNamespace(): string {
  try {
    return readlinkSync('/proc/self/ns/pid');
  } catch {
    return '';
  }
}

/** Kills the process of a media host, unless it is gone already and another one has its id. */
export function kill(pid: number): void {
  try {
    if (process.platform === 'linux' && !readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes('media-host'))
      return;
    process.kill(pid, 'SIGKILL');
  } catch {
    // It is gone already.
  }
}

/** Resolves when a process is gone; kills it after a while. */
export async function endOf(pid: number): Promise<void> {
  const until = performance.now() + STOP_MS;
  while (isAlive(pid)) {
    if (performance.now() > until) kill(pid);
    await pause(POLL_MS);
  }
}

/** Zombies, of which only the exit status is left, count as gone. */
function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
  } catch {
    return false;
  }
  try {
    return !/^\d+ \(.*\) Z/.test(readFileSync(`/proc/${pid}/stat`, 'utf8'));
  } catch {
    // Gone meanwhile, or a system without /proc.
    return process.platform !== 'linux';
  }
}

/**
 * How long a process was ready to run but did not, since it started, in ms: the second number of
 * `/proc/<pid>/schedstat`. 0 where that is not known.
 */
export function waitedForProcessorMs(pid: number): number {
  try {
    return Number(readFileSync(`/proc/${pid}/schedstat`, 'utf8').split(' ')[1]) / 1e6;
  } catch {
    return 0;
  }
}
