import { Counter, Gauge, Histogram, type Registry } from 'prom-client';
import type { CallObserver } from './phone/index.js';

/** Seconds: a call is answered within some milliseconds; what takes longer is a server that is full. */
const SETUP_BUCKETS = [0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5];

/**
 * Shows in the metrics how phone calls go.
 * @param callsNow calls that are there, those being set up included; asked when the metrics are read
 */
export function measureCalls(metrics: Registry, callsNow: () => number): CallObserver {
  const registers = [metrics];
  new Gauge({
    name: 'patchbay_calls',
    help: 'Phone calls, those being set up included',
    registers,
    collect() {
      this.set(callsNow());
    },
  });
  const total = new Counter({
    name: 'patchbay_calls_total',
    help: 'Phone calls that are over, by whose doing it was and why: a SIP status, or how the answered call ended',
    labelNames: ['outcome', 'reason'],
    registers,
  });
  const setup = new Histogram({
    name: 'patchbay_call_setup_seconds',
    help: 'From a call’s INVITE to its 200',
    buckets: SETUP_BUCKETS,
    registers,
  });
  return {
    answered: (setupMs) => setup.observe(setupMs / 1000),
    over: ({ outcome, reason }) => total.inc({ outcome, reason }),
  };
}
