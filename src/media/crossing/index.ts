export { NO_CROSSINGS, sumOfCrossings } from './counters.js';
export { type HostCrossing, HostCrossings } from './host-crossings.js';
export { LocalCrossings } from './local-crossings.js';
export { Placements } from './placements.js';
