export { type Call, type CallFilter, type CallPage, Calls, type CallTrace } from './calls.js';
export { callsCsv } from './csv.js';
export { ladderText } from './ladder.js';
export type { QualitySeries } from './quality-series.js';
export { TraceRing } from './trace-ring.js';
