// Compiles src/ to dist/ when any source is newer than the last build.
import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const STAMP = 'dist/.built';

const newest = (folder) =>
  readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .reduce((latest, entry) => Math.max(latest, statSync(join(entry.parentPath, entry.name)).mtimeMs), 0);

export function build() {
  const inputs = Math.max(
    newest('src'),
    statSync('tsconfig.build.json').mtimeMs,
    statSync('package-lock.json').mtimeMs,
  );
  if (existsSync(STAMP) && statSync(STAMP).mtimeMs >= inputs) return;
  const startedAt = new Date();
  console.error('Building ...');
  rmSync('dist', { recursive: true, force: true });
  execFileSync(process.execPath, ['node_modules/typescript/bin/tsc', '-p', 'tsconfig.build.json'], {
    stdio: 'inherit',
  });
  writeFileSync(STAMP, '');
  // A source saved while the compiler ran counts as newer than this build.
  utimesSync(STAMP, startedAt, startedAt);
}
