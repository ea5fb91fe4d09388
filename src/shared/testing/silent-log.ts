import type { Log } from '../index.js';

const nothing = (): void => undefined;

/** For tests that do not check the log. */
export const silentLog: Log = { debug: nothing, info: nothing, warn: nothing, error: nothing };
