export { connectPipe, listenForPipes, type PipeListener } from './connections.js';
export type { Pipe, PipeCounters, SendingPipe } from './pipe.js';
