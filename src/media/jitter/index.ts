export { Playout } from './playout.js';
export type { JitterCounters } from './jitter-buffer.js';
