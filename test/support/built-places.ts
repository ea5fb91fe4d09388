import { fileURLToPath } from 'node:url';
import { pathOf } from '../../src/shared/places.js';

/** Where the programs of unit tests are built: below the packages that they load. */
export const PROGRAMS_FOLDER = fileURLToPath(new URL('../../node_modules/.cache/programs/', import.meta.url));

// What src/shared/places.ts says, for unit tests: the sources run, and programs that they start are built.
export { pathOf };
export const runsFromSource = false;
export const programPath = (name: string): string => `${PROGRAMS_FOLDER}${name}.js`;
