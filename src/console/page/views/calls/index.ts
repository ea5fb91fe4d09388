export { CallView } from './call.js';
export { Calls } from './calls.js';
