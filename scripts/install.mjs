// Installs the project's npm packages when they are missing or older than the lock file.
import { execFileSync } from 'node:child_process';
import { existsSync, statSync } from 'node:fs';

export function installPackages() {
  const installed = 'node_modules/.package-lock.json';
  const fresh = existsSync(installed) && statSync(installed).mtimeMs >= statSync('package-lock.json').mtimeMs;
  if (fresh) return;
  console.error('Installing packages ...');
  execFileSync('npm', ['ci', '--include=dev', '--no-progress', '--loglevel=error'], { stdio: 'inherit' });
}
