import { spawnSync } from 'node:child_process';
import { availableParallelism } from 'node:os';

/** The number of the last core. */
export const LAST = availableParallelism() - 1;
const PINS = spawnSync('taskset', ['--version']).status === 0;

/** A command held to one core, or to the last if there are fewer; unchanged if there is no taskset. */
export function onCore(core: number, command: string, args: readonly string[]): [string, string[]] {
  if (!PINS) return [command, [...args]];
  return ['taskset', ['-c', String(Math.min(core, LAST)), command, ...args]];
}

/** Holds this process, and those that it starts from now on, to one core. */
export function moveTo(core: number): void {
  if (PINS) spawnSync('taskset', ['-a', '-c', '-p', String(Math.min(core, LAST)), String(process.pid)]);
}
