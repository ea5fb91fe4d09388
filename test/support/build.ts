import { execFileSync } from 'node:child_process';

/** Builds `dist/` once for a run of whole-system tests. */
export default function setup(): void {
  const script = "import('./scripts/build.mjs').then(({ build }) => build())";
  execFileSync(process.execPath, ['-e', script], { stdio: 'inherit' });
}
