import { Counter, Gauge, Histogram, type Registry } from 'prom-client';
import type { CallObserver, FreeswitchStatus } from '../../devices/phone/index.js';
import type { BrowserCounters } from '../../devices/browser/index.js';
import type { ApiOptions, OnAnswered } from '../../api/index.js';
import type { MediaPlane } from '../../media/index.js';
import { measureCrossings } from './crossings.js';

/** In seconds. A call is normally answered within some milliseconds; it takes longer when a server is full. */
const SETUP_BUCKETS = [0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5];

/** Callers may invent others, and each would be one more time series. */
const METHODS: ReadonlySet<string> = new Set([
  ...['INVITE', 'ACK', 'BYE', 'CANCEL', 'OPTIONS', 'PRACK', 'UPDATE', 'INFO', 'REFER'],
  ...['MESSAGE', 'NOTIFY', 'SUBSCRIBE', 'PUBLISH', 'REGISTER'],
]);

/** Adds calls of other gateways to the metrics, by what became of them here. */
export function measureTakenCalls(metrics: Registry): Counter<'result'> {
  return new Counter({
    name: 'patchbay_calls_taken_over_total',
    help: 'Calls of gateways that are gone: those that this one has gone on with, and those that it could not',
    labelNames: ['result'],
    registers: [metrics],
  });
}

/**
 * Adds phone calls to the metrics.
 * @param callsNow present calls, including those being set up
 * @param notLookedUp calls that found no room and are in no account's list of failed calls
 */
export function measureCalls(
  metrics: Registry,
  callsNow: () => number,
  notLookedUp: () => number,
): CallObserver {
  const registers = [metrics];
  new Gauge({
    name: 'patchbay_calls',
    help: 'Phone calls, including those being set up',
    registers,
    collect() {
      this.set(callsNow());
    },
  });
  const total = new Counter({
    name: 'patchbay_calls_total',
    help: 'Phone calls that ended, by outcome and reason: a SIP status, or how an answered call ended',
    labelNames: ['outcome', 'reason'],
    registers,
  });
  new Counter({
    name: 'patchbay_failed_calls_unlisted_total',
    help: 'Calls that found no room and were not looked up for the list of failed calls, because there were too many',
    registers,
    collect() {
      this.reset();
      this.inc(notLookedUp());
    },
  });
  const setup = new Histogram({
    name: 'patchbay_call_setup_seconds',
    help: 'Time from a call’s INVITE to its 200',
    buckets: SETUP_BUCKETS,
    registers,
  });
  const refusals = new Counter({
    name: 'patchbay_sip_refusals_total',
    help: 'SIP requests that the gateway refused, by method and status',
    labelNames: ['method', 'status'],
    registers,
  });
  return {
    refused: (method, status) =>
      refusals.inc({ method: METHODS.has(method) ? method : 'other', status: String(status) }),
    answered: (setupMs) => setup.observe(setupMs / 1000),
    over: ({ outcome, reason }) => total.inc({ outcome, reason }),
  };
}

/** Adds the WebSockets of browsers, and refused ones, to the metrics. */
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
    help: 'WebSockets of browsers that were refused, by reason',
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

/** Adds each FreeSWITCH to the metrics, by the address of its event socket. */
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
    help: 'Whether this FreeSWITCH gets new calls: it is healthy, has room, and refused none lately; 1 or 0',
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
    help: 'Channels in use on this FreeSWITCH, also by others, as a share of its limit',
    collect() {
      for (const { address, load } of status()) this.set({ server: address }, load);
    },
  });
  new Counter({
    ...common,
    name: 'patchbay_freeswitch_losses_total',
    help: 'How often the connection to this FreeSWITCH was lost',
    collect() {
      this.reset();
      for (const { address, losses } of status()) this.inc({ server: address }, losses);
    },
  });
  new Counter({
    ...common,
    name: 'patchbay_freeswitch_refusals_total',
    help: 'Calls that this FreeSWITCH refused or failed to carry',
    collect() {
      this.reset();
      for (const { address, refusals } of status()) this.inc({ server: address }, refusals);
    },
  });
}

/** Measures how long HTTP requests take. */
export function measureRequests(metrics: Registry): OnAnswered {
  const histogram = new Histogram({
    name: 'patchbay_http_request_seconds',
    help: 'Time to answer HTTP requests',
    labelNames: ['method', 'route', 'status'],
    buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1, 5],
    registers: [metrics],
  });
  return ({ method }, { statusCode: status }, { route = 'unknown', ms }) =>
    histogram.observe({ method, route, status }, ms / 1000);
}

/** Adds users and passwords that were refused to the metrics. */
export function measureRefusedCredentials(metrics: Registry): NonNullable<ApiOptions['onRefused']> {
  const refused = new Counter({
    name: 'patchbay_credentials_refused_total',
    help: 'Users and passwords that were refused, at REST or at the sign-in of the console: wrong, or too many before',
    labelNames: ['door', 'cause'],
    registers: [metrics],
  });
  return (door, cause) => refused.inc({ door, cause: cause === 'wrong' ? 'wrong' : 'too_many' });
}

/** Adds the load and the counters of the media plane to the metrics. */
export function measureMedia(
  metrics: Registry,
  media: Pick<MediaPlane, 'load' | 'counters' | 'hosts' | 'crossings'>,
): void {
  const registers = [metrics];
  const { crossings } = media;
  if (crossings) measureCrossings(metrics, () => crossings.counters());
  new Gauge({
    name: 'patchbay_media_hosts',
    help: 'Media hosts that serve this gateway; 0 when media are in its own process',
    registers,
    collect() {
      this.set(media.hosts().present);
    },
  });
  new Counter({
    name: 'patchbay_media_hosts_lost_total',
    help: 'Media hosts that died, or were killed because they hung',
    registers,
    collect() {
      this.reset();
      this.inc(media.hosts().lost);
    },
  });
  new Gauge({
    name: 'patchbay_mix_lateness_seconds',
    help: 'How late phones’ mixes were made: the maximum of the last one to two seconds',
    registers,
    collect() {
      this.set(media.load().mixLatenessMs / 1000);
    },
  });
  new Counter({
    name: 'patchbay_mix_frames_skipped_total',
    help: '20 ms frames of all phones’ mixes that were skipped because they were too late',
    registers,
    collect() {
      this.reset();
      this.inc(media.load().framesSkipped);
    },
  });
  new Counter({
    name: 'patchbay_rtp_strangers_total',
    help: 'Datagrams to phones’ media ports that were dropped for their source address',
    registers,
    collect() {
      this.reset();
      this.inc(media.counters().strangers);
    },
  });
  new Counter({
    name: 'patchbay_rtcp_ignored_total',
    help: 'RTCP reports of phones and browsers that cannot be true, or are not as long as they say',
    registers,
    collect() {
      this.reset();
      this.inc(media.counters().reportsIgnored);
    },
  });
  new Counter({
    name: 'patchbay_rtp_frames_withheld_total',
    help: '20 ms frames that were not sent because nothing has come from the phone’s announced address',
    registers,
    collect() {
      this.reset();
      this.inc(media.counters().framesWithheld);
    },
  });
}
