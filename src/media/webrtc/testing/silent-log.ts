import type { MediaLog } from '../../types.js';

const nothing = (): void => undefined;

/** For tests of what is done, not of what is said. */
export const silentLog: MediaLog = { debug: nothing, info: nothing, warn: nothing, error: nothing };
