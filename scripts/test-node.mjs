// `npm run test:node -- 24`: the unit tests on another version of Node.js, from npm's package `node`.
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { run } from './run.mjs';

process.chdir(dirname(dirname(fileURLToPath(import.meta.url))));
const [version, ...rest] = process.argv.slice(2);
if (version === undefined || !/^\d+(\.\d+){0,2}$/.test(version)) {
  console.error('usage: npm run test:node -- VERSION [what to run of the unit tests]');
  process.exit(2);
}
const vitest = ['node_modules/vitest/vitest.mjs', 'run', '--project', 'unit', ...rest];
await run('npx', ['--yes', '--package', `node@${version}`, 'node', ...vitest]);
