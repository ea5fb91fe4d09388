export { ProgramTargets, type TargetCounts } from './outbound/program-targets.js';
export { type ProgramCounters, ProgramServer } from './program-server.js';
export { Programs } from './programs.js';
