import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { monitorEventLoopDelay, performance } from 'node:perf_hooks';
import { setTimeout as pause } from 'node:timers/promises';
import type { MediaLoad } from '../door.js';
import type { HostLoad } from './messages.js';

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

/** The process of a media host that was started by a gateway, by the host's id; undefined when there is none to be seen. */
export function processOf(id: string): number | undefined {
  if (process.platform !== 'linux') return undefined;
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .find((pid) => {
      const command = commandOf(pid);
      return command.some((part) => part.includes('media-host')) && command.includes(id);
    });
}

function commandOf(pid: number): string[] {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0');
  } catch {
    // It has ended meanwhile, or belongs to somebody else.
    return [];
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

/** As often as phones' mixes are made: it wakes the host no more often than they do. */
const RESOLUTION_MS = 20;

/** Measures how well a host's process keeps up, from one reading to the next. */
export class LoadWatch {
  readonly #delays = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
  #utilization = performance.eventLoopUtilization();
  #mixBusyMs = 0;

  stop(): void {
    this.#delays.disable();
  }

  /**
   * @param load of the host's plane
   * @param hasDevices delays are measured only while there are some: an idle host shall not wake for that
   */
  read(load: MediaLoad, hasDevices: boolean): HostLoad {
    if (hasDevices) this.#delays.enable();
    else this.#delays.disable();
    const { utilization: busy, active, idle } = performance.eventLoopUtilization(this.#utilization);
    this.#utilization = performance.eventLoopUtilization();
    const delayMs = Math.max(0, this.#delays.mean / 1e6 - RESOLUTION_MS) || 0;
    this.#delays.reset();
    const mixShare = (load.mixBusyMs - this.#mixBusyMs) / Math.max(1, active + idle);
    this.#mixBusyMs = load.mixBusyMs;
    return { ...load, busy, delayMs, mixShare };
  }
}
