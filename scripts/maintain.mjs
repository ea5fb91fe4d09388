// `npm run backup`, `npm run restore` and `npm run migrate`. Built only where nothing is: a gateway may be running on what is there.
import { existsSync } from 'node:fs';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';

process.chdir(dirname(dirname(fileURLToPath(import.meta.url))));
if (!existsSync('dist/app/maintain.js')) {
  const { installPackages } = await import('./install.mjs');
  const { build } = await import('./build.mjs');
  await installPackages();
  await build();
}
await import('../dist/app/maintain.js');
