import { readFileSync } from 'node:fs';

// The same way from `src/app` and from `dist/app`.
const packageJson = readFileSync(new URL('../../package.json', import.meta.url), 'utf8');

/** The gateway's version, as in package.json. */
export const VERSION = (JSON.parse(packageJson) as { version: string }).version;
