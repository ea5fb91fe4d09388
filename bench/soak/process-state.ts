import { readdirSync, readlinkSync } from 'node:fs';
import { residentMiB } from '../../test/support/resident-memory.js';

/** What a process holds, from Linux's /proc. */
export interface ProcessState {
  readonly residentMiB: number;
  readonly files: number;
  readonly sockets: number;
}

/** @throws when there is no such process, or no /proc */
export function processState(pid: number): ProcessState {
  const open = readdirSync(`/proc/${pid}/fd`);
  const sockets = open.filter((fd) => isSocket(`/proc/${pid}/fd/${fd}`));
  return { residentMiB: residentMiB(pid), files: open.length, sockets: sockets.length };
}

function isSocket(path: string): boolean {
  try {
    return readlinkSync(path).startsWith('socket:');
  } catch {
    return false; // Closed meanwhile.
  }
}

/** Samples of a process over a run. */
export class StateLog {
  readonly #pid: number;
  readonly #samples: ProcessState[] = [];

  constructor(pid: number) {
    this.#pid = pid;
  }

  sample(): ProcessState {
    const state = processState(this.#pid);
    this.#samples.push(state);
    return state;
  }

  /** Median resident memory of the last quarter to that of the second: the first one warms up. */
  get memoryGrowth(): number {
    const quarter = Math.max(1, Math.floor(this.#samples.length / 4));
    return median(this.#samples.slice(-quarter)) / median(this.#samples.slice(quarter, 2 * quarter));
  }
}

function median(samples: readonly ProcessState[]): number {
  const values = samples.map(({ residentMiB }) => residentMiB).sort((a, b) => a - b);
  return values[Math.floor(values.length / 2)] ?? Number.NaN;
}
