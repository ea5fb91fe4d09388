// Installs the project's npm packages when they are missing or not those of the lock file.
import { createHash } from 'node:crypto';
import { existsSync, lstatSync, readFileSync, writeFileSync } from 'node:fs';
import { run } from './run.mjs';

const STAMP = 'node_modules/.installed-lock';

export async function installPackages() {
  // A linked folder belongs to another checkout: emptying it would break that one.
  if (existsSync('node_modules') && lstatSync('node_modules').isSymbolicLink()) return;
  const lock = createHash('sha256').update(readFileSync('package-lock.json')).digest('hex');
  if (existsSync(STAMP) && readFileSync(STAMP, 'utf8') === lock) return;
  console.error('Installing packages ...');
  await run('npm', ['ci', '--include=dev', '--no-progress', '--loglevel=error']);
  writeFileSync(STAMP, lock);
}
