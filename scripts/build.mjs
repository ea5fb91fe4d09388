// Builds dist/ from src/ when any source is newer than the last build.
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { brotliCompressSync, gzipSync } from 'node:zlib';
import { bundlePrograms } from './bundle.mjs';
import { run } from './run.mjs';

const STAMP = 'dist/.built';

const newest = (folder) =>
  readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .reduce((latest, entry) => Math.max(latest, statSync(join(entry.parentPath, entry.name)).mtimeMs), 0);

/** The console's page: a script, with the published browser client in it, and a style; compressed, too. */
async function buildPage() {
  const { build: bundle } = await import('esbuild');
  mkdirSync('dist/console/page', { recursive: true });
  await bundle({
    entryPoints: { page: 'src/console/page/main.tsx', style: 'src/console/page/style/index.css' },
    outdir: 'dist/console/page',
    bundle: true,
    minify: true,
    platform: 'browser',
    jsx: 'automatic',
    jsxImportSource: 'preact',
    define: { global: 'window' },
    logLevel: 'warning',
  });
  copyFileSync('src/console/page/index.html', 'dist/console/page/index.html');
  for (const file of ['index.html', 'page.js', 'style.css']) {
    const content = readFileSync(`dist/console/page/${file}`);
    writeFileSync(`dist/console/page/${file}.br`, brotliCompressSync(content));
    writeFileSync(`dist/console/page/${file}.gz`, gzipSync(content));
  }
}

/** @param {{ check?: boolean }} options whether types are checked, which takes most of the time; default: true */
export async function build({ check = true } = {}) {
  const inputs = Math.max(
    newest('src'),
    statSync('tsconfig.build.json').mtimeMs,
    statSync('package-lock.json').mtimeMs,
    ...['build', 'bundle', 'source-lines'].map((script) => statSync(`scripts/${script}.mjs`).mtimeMs),
  );
  if (existsSync(STAMP) && statSync(STAMP).mtimeMs >= inputs) return;
  const startedAt = new Date();
  console.error('Building ...');
  rmSync('dist', { recursive: true, force: true });
  // esbuild does not look at types.
  const compiler = ['node_modules/typescript/bin/tsc', '-p', 'tsconfig.build.json'];
  await run(process.execPath, check ? compiler : [...compiler, '--noCheck']);
  await Promise.all([bundlePrograms(), buildPage()]);
  const { stop } = await import('esbuild');
  // Its process would live as long as the gateway that `npm start` runs in this one.
  await stop();
  writeFileSync(STAMP, '');
  // A source saved while the compiler ran counts as newer than this build.
  utimesSync(STAMP, startedAt, startedAt);
}
