// Bundles the programs of src/ into dist/: a start reads a few files instead of a thousand of src/ and of packages.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, relative } from 'node:path';
import { linesOf } from './source-lines.mjs';

/** What is run by its path: by users, by the container image, or by the gateway as a process of its own. */
const PROGRAMS = [
  'main',
  'media-host',
  'app/maintain',
  'app/health-check',
  'announcements/decoder/main',
  'store/libsql/usage-reader/main',
];

/** Packages that stay in node_modules. */
const NOT_BUNDLED = [
  // Machine code, or WebAssembly that they read from a file beside them.
  ...['libsql', 'node-datachannel', '@evan/opus', 'mpg123-decoder', 'bufferutil', 'utf-8-validate'],
  // They start threads of files beside them.
  ...['pino', 'pino-pretty'],
  // Written for sloppy mode. A module is strict, and there they throw.
  ...['drachtio-fsmrf', 'drachtio-modesl', 'drachtio-srf'],
];

/** What bundled CommonJS needs that a module lacks: `require` for Node's own modules, and a way to files beside it. */
const COMMONJS =
  "import { createRequire as createRequireHere } from 'node:module'; " +
  'const require = createRequireHere(import.meta.url), resolveHere = require.resolve;';

/** Tells bundled modules of a package, which reads files beside them, where they lie in node_modules. */
const knowsFolder = {
  name: 'knows its folder',
  setup({ onLoad }) {
    onLoad({ filter: /\/node_modules\/@fastify\/swagger-ui\/.*\.js$/ }, ({ path }) => {
      const module = JSON.stringify(relative('node_modules', path));
      const folder = `require('node:path').dirname(resolveHere(${module}))`;
      return { contents: readFileSync(path, 'utf8').replaceAll('__dirname', folder), loader: 'js' };
    });
  },
};

/**
 * Writes each program where its source lies below src/, and what programs share into dist/chunks/: src/shared/places.ts
 * relies on that. Beside each file is another that tells where its lines come from, for stack traces.
 */
export async function bundlePrograms() {
  const { build } = await import('esbuild');
  const { outputFiles } = await build({
    entryPoints: PROGRAMS.map((program) => ({ in: `src/${program}.ts`, out: program })),
    outdir: 'dist',
    chunkNames: 'chunks/[name]-[hash]',
    bundle: true,
    splitting: true,
    format: 'esm',
    platform: 'node',
    target: 'node20',
    // Of a package's forms the one that Node itself would take, not the one for bundlers.
    conditions: ['node'],
    external: NOT_BUNDLED,
    plugins: [knowsFolder],
    banner: { js: COMMONJS },
    minifyWhitespace: true,
    // Node prints the line of an uncaught error.
    lineLimit: 200,
    sourcemap: 'external',
    sourcesContent: false,
    write: false,
    logLevel: 'warning',
  });
  for (const { path, text } of outputFiles) {
    mkdirSync(dirname(path), { recursive: true });
    if (!path.endsWith('.map')) writeFileSync(path, text);
    else writeFileSync(path.replace(/\.map$/, '.lines.json'), JSON.stringify(linesOf(text, dirname(path))));
  }
}
