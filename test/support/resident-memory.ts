import { readFileSync } from 'node:fs';

/** Resident memory of a process in MiB, from Linux's /proc. @throws when there is no such process, or no /proc */
export function residentMiB(pid: number): number {
  const kibibytes = /^VmRSS:\s*(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
  return Number(kibibytes) / 1024;
}
