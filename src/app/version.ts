import { readFileSync } from 'node:fs';
import { pathOf } from '../shared/index.js';

const packageJson = readFileSync(pathOf('../package.json'), 'utf8');

/** The gateway's version, as in package.json. */
export const VERSION = (JSON.parse(packageJson) as { version: string }).version;
