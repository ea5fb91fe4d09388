// `npm test`: installs what the tests need, then runs them all (or those that the arguments choose).
import { spawnSync } from 'node:child_process';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';

process.chdir(dirname(dirname(fileURLToPath(import.meta.url))));
const { installPackages } = await import('./install.mjs');
const { installTestPrograms } = await import('./test-packages.mjs');
await installPackages();
installTestPrograms();
const reporters = ['--reporter=default', '--reporter=./scripts/closing-line-reporter.mjs'];
const { status } = spawnSync(
  process.execPath,
  ['node_modules/vitest/vitest.mjs', 'run', ...reporters, ...process.argv.slice(2)],
  { stdio: 'inherit' },
);
process.exit(status ?? 1);
