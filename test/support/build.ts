import { execFileSync } from 'node:child_process';

/** Builds `dist/` once for a run of whole-system tests. Types are not their matter: `npm run typecheck` looks at them. */
export default function setup(): void {
  const script = "import('./scripts/build.mjs').then(({ build }) => build({ check: false }))";
  execFileSync(process.execPath, ['-e', script], { stdio: 'inherit' });
}
