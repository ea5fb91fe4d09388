import type { MediaCounters } from './door.js';

export const NO_COUNTERS: MediaCounters = { strangers: 0, framesWithheld: 0, reportsIgnored: 0 };

export function sumOfCounters(a: MediaCounters, b: MediaCounters): MediaCounters {
  return {
    strangers: a.strangers + b.strangers,
    framesWithheld: a.framesWithheld + b.framesWithheld,
    reportsIgnored: a.reportsIgnored + b.reportsIgnored,
  };
}
