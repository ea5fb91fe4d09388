export { type Call, type CallFilter, type CallPage, Calls } from './calls.js';
export { callsCsv } from './csv.js';
export { ladderText } from './ladder.js';
export { OwnTraces } from './own-traces.js';
export type { QualitySeries } from './quality-series.js';
export { TraceRing } from './trace-ring.js';
