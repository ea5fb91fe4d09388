import { Counter, Gauge, type Registry } from 'prom-client';
import type { BrowserCounters } from './browser/index.js';

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
