import { Counter, Gauge, type Registry } from 'prom-client';
import type { FreeswitchStatus } from './freeswitch/index.js';

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
