export { createMasterKey, readInlineKey, sameMasterKey, writeInlineKey } from './keys.js';
export type { MasterKey } from './keys.js';
export { SrtpReceiver } from './srtp-stream.js';
export type { SrtpCounters } from './srtp-stream.js';
export { SrtpSender } from './srtp-stream.js';
export { findSrtpSuite, SRTP_SUITES } from './keys.js';
export type { SrtpSuite } from './keys.js';
