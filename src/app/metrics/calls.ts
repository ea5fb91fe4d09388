import { Counter, Gauge, Histogram, type Registry } from 'prom-client';
import type { CallObserver, FreeswitchStatus } from '../../devices/phone/index.js';
import type { BrowserCounters } from '../../devices/browser/index.js';

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

/** Shows the sockets of browsers, and those that were turned away, in the metrics. Read when they are asked for. */
export function measureBrowsers(metrics: Registry, counters: () => BrowserCounters): void {
  const registers = [metrics];
  new Gauge({
    name: 'patchbay_browser_sockets',
    help: 'Open WebSockets of browsers',
    registers,
    collect() {
      this.set(counters().sockets);
    },
  });
  new Counter({
    name: 'patchbay_browser_refusals_total',
    help: 'WebSockets turned away, by reason',
    labelNames: ['reason'],
    registers,
    collect() {
      const { refusedUpgrades, refusedTokens, abusiveSockets } = counters();
      this.reset();
      this.inc({ reason: 'too_many' }, refusedUpgrades);
      this.inc({ reason: 'token' }, refusedTokens);
      this.inc({ reason: 'abuse' }, abusiveSockets);
    },
  });
}

/** Shows the pool of FreeSWITCHes in the metrics, each by the address of its event socket. Read when asked for. */
export function measureFreeswitch(metrics: Registry, status: () => readonly FreeswitchStatus[]): void {
  const common = { labelNames: ['server' as const], registers: [metrics] };
  new Gauge({
    ...common,
    name: 'patchbay_freeswitch_healthy',
    help: 'Whether this FreeSWITCH answers: 1 or 0',
    collect() {
      for (const { address, healthy } of status()) this.set({ server: address }, healthy ? 1 : 0);
    },
  });
  new Gauge({
    ...common,
    name: 'patchbay_freeswitch_available',
    help: 'Whether new calls go to this FreeSWITCH: it is healthy, has room, and is not passed over; 1 or 0',
    collect() {
      for (const { address, available } of status()) this.set({ server: address }, available ? 1 : 0);
    },
  });
  new Gauge({
    ...common,
    name: 'patchbay_freeswitch_calls',
    help: 'Calls of this gateway on this FreeSWITCH',
    collect() {
      for (const { address, calls } of status()) this.set({ server: address }, calls);
    },
  });
  new Gauge({
    ...common,
    name: 'patchbay_freeswitch_load',
    help: 'Channels in use on this FreeSWITCH, by whomever, as a share of what it allows',
    collect() {
      for (const { address, load } of status()) this.set({ server: address }, load);
    },
  });
  new Counter({
    ...common,
    name: 'patchbay_freeswitch_losses_total',
    help: 'Times that this FreeSWITCH was lost',
    collect() {
      this.reset();
      for (const { address, losses } of status()) this.inc({ server: address }, losses);
    },
  });
  new Counter({
    ...common,
    name: 'patchbay_freeswitch_refusals_total',
    help: 'Calls that this FreeSWITCH would not take or could not carry',
    collect() {
      this.reset();
      for (const { address, refusals } of status()) this.inc({ server: address }, refusals);
    },
  });
}
