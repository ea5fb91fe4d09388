export { OwnCalls } from './own-calls.js';
export type { SipTarget } from './sip/index.js';
export { TestCalls } from './test-calls.js';
export type { TestCall } from './types.js';
