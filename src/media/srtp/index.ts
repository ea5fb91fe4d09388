export { createMasterKey, readInlineKey, sameMasterKey, writeInlineKey } from './keys.js';
export type { MasterKey } from './keys.js';
export { indexAfter, SrtpReceiver, SrtpSender } from './srtp-stream.js';
export type { HighestIndices, ReceivedBefore, SentBefore, SrtpCounters } from './srtp-stream.js';
export { findSrtpSuite, SRTP_SUITES } from './keys.js';
export type { SrtpSuite } from './keys.js';
