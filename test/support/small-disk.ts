import { spawnSync } from 'node:child_process';
import { closeSync, openSync, rmSync, writeSync } from 'node:fs';
import { join } from 'node:path';

const HOLD = ['unshare', '--mount', '--propagation', 'private', 'sh', '-c'];

/** Why no process can be given a disk of its own here; absent when one can. */
export function withoutSmallDisk(): string | undefined {
  const [command, ...args] = [...HOLD, 'mount -t tmpfs tmpfs /mnt'];
  return spawnSync(command, args).status === 0 ? undefined : 'may not mount';
}

/** Runs a command (`runBy`) with a disk of its own over a folder, as nobody else sees it. */
export function onDisk(folder: string, options: string): readonly string[] {
  const script = 'mount -t tmpfs -o "$1" tmpfs "$2" && shift 2 && exec "$@"';
  return [...HOLD, script, 'sh', options, folder];
}

/** Runs a command (`runBy`) with a file in the place of another, as nobody else sees it. */
export function withFile(file: string, at: string): readonly string[] {
  const script = 'mount --bind "$1" "$2" && shift 2 && exec "$@"';
  return [...HOLD, script, 'sh', file, at];
}

/** The disk of a running process. */
export class SmallDisk {
  /** The folder as the process sees it. */
  readonly folder: string;

  constructor(pid: number, folder: string) {
    this.folder = `/proc/${pid}/root${folder}`;
  }

  /** Fills it to the last byte. */
  fill(): void {
    const file = openSync(this.#filler, 'w');
    try {
      for (let size = 65_536; size >= 1;) {
        try {
          writeSync(file, Buffer.alloc(size));
        } catch (error) {
          if (!(error instanceof Error && 'code' in error && error.code === 'ENOSPC')) throw error;
          size = Math.floor(size / 2);
        }
      }
    } finally {
      closeSync(file);
    }
  }

  free(): void {
    rmSync(this.#filler);
  }

  get #filler(): string {
    return join(this.folder, 'filler');
  }
}
