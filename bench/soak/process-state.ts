import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { residentMiB } from '../../test/support/resident-memory.js';

/** Resources of a process, from Linux's /proc. */
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

/** `ESTABLISHED`, as /proc/net/tcp writes it. */
const ESTABLISHED = '01';

/**
 * The peers, `address:port`, of the established IPv4 connections at a port of this machine. Sockets of the connecting
 * side prove less: with SYN cookies, they may be connected while the listening side keeps no connection.
 */
export function connectionsAt(port: number): string[] {
  return readFileSync('/proc/net/tcp', 'utf8')
    .split('\n')
    .slice(1)
    .map((line) => line.trim().split(/\s+/))
    .filter(([, local = '', , state]) => state === ESTABLISHED && portOf(local) === port)
    .map(([, , remote = '']) => `${hostOf(remote)}:${portOf(remote)}`);
}

function portOf(end: string): number {
  return Number.parseInt(end.slice(9), 16);
}

/** The address, of which /proc shows the bytes in the processor's order: last byte first. */
function hostOf(end: string): string {
  return [...Buffer.from(end.slice(0, 8), 'hex')].reverse().join('.');
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

  /** Median resident memory of the last quarter, divided by that of the second; the first is warm-up. */
  get memoryGrowth(): number {
    const quarter = Math.max(1, Math.floor(this.#samples.length / 4));
    return median(this.#samples.slice(-quarter)) / median(this.#samples.slice(quarter, 2 * quarter));
  }
}

function median(samples: readonly ProcessState[]): number {
  const values = samples.map(({ residentMiB }) => residentMiB).sort((a, b) => a - b);
  return values[Math.floor(values.length / 2)] ?? Number.NaN;
}
