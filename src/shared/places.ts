import { fileURLToPath } from 'node:url';

/** Whether the sources themselves run, as in unit tests, and not what was built of them. */
export const runsFromSource = import.meta.url.endsWith('.ts');

// The same way from src/shared/ and from dist/chunks/, where the build puts what several programs share.
const ROOT = new URL('../', import.meta.url);

/** The path of a file or folder of `src/`, or of `dist/` once built. Other modules cannot tell from their own URLs. */
export const pathOf = (place: string): string => fileURLToPath(new URL(place, ROOT));

/** The path of a program that is run as a process of its own, by its name without an ending: `media-host`. */
export const programPath = (name: string): string => pathOf(`${name}.${runsFromSource ? 'ts' : 'js'}`);
