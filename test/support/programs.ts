import { build } from 'esbuild';
import { PROGRAMS_FOLDER } from './built-places.js';

/** Builds the programs that unit tests start again and again: compiling each time takes most of their processor time. */
export default async function setup(): Promise<void> {
  const programs = ['announcements/decoder/main', 'store/libsql/usage-reader/main'];
  await build({
    entryPoints: programs.map((program) => ({ in: `src/${program}.ts`, out: program })),
    outdir: PROGRAMS_FOLDER,
    bundle: true,
    format: 'esm',
    platform: 'node',
    target: 'node20',
    packages: 'external',
    logLevel: 'warning',
  });
}
