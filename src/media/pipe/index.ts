export { connectPipe, listenForPipes, type PipeListener } from './connections.js';
export type { Pipe, PipeCounters } from './pipe.js';
