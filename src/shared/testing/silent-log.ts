import type { Log } from '../index.js';

const nothing = (): void => undefined;

/** For tests of what is done, not of what is said. */
export const silentLog: Log = { debug: nothing, info: nothing, warn: nothing, error: nothing };
