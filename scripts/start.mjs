// `npm start`: installs, builds and runs the gateway, from a fresh clone too.
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';

process.chdir(dirname(dirname(fileURLToPath(import.meta.url))));
const { installPackages } = await import('./install.mjs');
const { build } = await import('./build.mjs');
await installPackages();
await build();
await import('../dist/main.js');
