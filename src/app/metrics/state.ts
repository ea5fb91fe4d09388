import type { TraceRing } from '../../calls/index.js';
import type { EventFeed } from '../../events/index.js';
import { Counter, Gauge, type Registry } from 'prom-client';
import type { Core } from '../../core/index.js';
import type { Store } from '../../store/index.js';
import type { Usage } from '../../usage/index.js';

/** Says which version runs, the usual way: the labels of a gauge that is always 1. */
export function measureBuild(metrics: Registry, version: string): void {
  new Gauge({
    name: 'patchbay_build_info',
    help: 'Versions of the gateway and of Node.js',
    labelNames: ['version', 'node'],
    registers: [metrics],
  }).set({ version, node: process.version }, 1);
}

/** Adds the contents of the core, and the webhooks, to the metrics. */
export function measureState(metrics: Registry, core: Core, usage: Usage): void {
  const registers = [metrics];
  new Gauge({
    name: 'patchbay_sessions',
    help: 'Sessions',
    registers,
    collect() {
      this.set(core.counts().sessions);
    },
  });
  new Gauge({
    name: 'patchbay_participants',
    help: 'Participants, connected or not',
    registers,
    collect() {
      this.set(core.counts().participants);
    },
  });
  new Gauge({
    name: 'patchbay_state_bytes',
    help: 'Memory of sessions, participants and their subscriptions, estimated',
    registers,
    collect() {
      this.set(core.memory().bytes);
    },
  });
  new Counter({
    name: 'patchbay_state_refused_total',
    help: 'Changes refused because the account or the gateway uses too much memory',
    registers,
    collect() {
      this.reset();
      this.inc(core.memory().refused);
    },
  });
  new Gauge({
    name: 'patchbay_devices',
    help: 'Connected devices',
    labelNames: ['kind'],
    registers,
    collect() {
      for (const [kind, count] of Object.entries(core.counts().devices)) this.set({ kind }, count);
    },
  });
  new Counter({
    name: 'patchbay_devices_refused_total',
    help: 'Phones and pages refused because their account had reached its limit of connected devices',
    registers,
    collect() {
      this.reset();
      this.inc(core.counts().devicesRefused);
    },
  });
  new Gauge({
    name: 'patchbay_noise_suppressions',
    help: 'Participants that hold a place for noise suppression',
    registers,
    collect() {
      this.set(core.counts().noiseSuppressions);
    },
  });
  new Counter({
    name: 'patchbay_noise_suppressions_refused_total',
    help: 'Participants whose noise is not suppressed because all places are taken',
    registers,
    collect() {
      this.reset();
      this.inc(core.counts().noiseSuppressionsRefused);
    },
  });
  new Gauge({
    name: 'patchbay_webhooks_waiting',
    help: 'Webhooks that are not delivered yet',
    registers,
    collect() {
      this.set(usage.webhookCounts().waiting);
    },
  });
  new Counter({
    name: 'patchbay_webhooks_total',
    help: 'Webhooks by result, and failed attempts',
    labelNames: ['outcome'],
    registers,
    collect() {
      const { delivered, failedAttempts, givenUp, dropped } = usage.webhookCounts();
      this.reset();
      this.inc({ outcome: 'delivered' }, delivered);
      this.inc({ outcome: 'failed_attempt' }, failedAttempts);
      this.inc({ outcome: 'given_up' }, givenUp);
      this.inc({ outcome: 'dropped' }, dropped);
    },
  });
  new Counter({
    name: 'patchbay_webhooks_dropped_total',
    help: 'Webhooks dropped because too many of the participant, or of the account, were waiting',
    labelNames: ['cause'],
    registers,
    collect() {
      const { droppedOfParticipant, droppedOfAccount } = usage.webhookCounts();
      this.reset();
      this.inc({ cause: 'participant' }, droppedOfParticipant);
      this.inc({ cause: 'account' }, droppedOfAccount);
    },
  });
  new Counter({
    name: 'patchbay_webhook_rests_total',
    help: 'How often a server was left alone for a while, since it timed out repeatedly',
    registers,
    collect() {
      this.reset();
      this.inc(usage.webhookCounts().rests);
    },
  });
  new Gauge({
    name: 'patchbay_webhook_servers',
    help: 'Servers of accounts that webhooks wait for, or that are left alone for a while',
    registers,
    collect() {
      this.set(usage.webhookCounts().servers);
    },
  });
}

/** Adds the lease of the leader to the metrics, of a gateway that may have a standby. */
export function measureLease(
  metrics: Registry,
  { epoch, isHeld }: { epoch: () => number; isHeld: () => boolean },
): void {
  const registers = [metrics];
  new Gauge({
    name: 'patchbay_leader_epoch',
    help: 'Number of the leader that this gateway is: it rises with each take-over; 0: it is not the leader',
    registers,
    collect() {
      this.set(epoch());
    },
  });
  new Gauge({
    name: 'patchbay_leader_lease_held',
    help: 'Whether no other gateway can be the leader now: the lease was renewed in time; 1 or 0',
    registers,
    collect() {
      this.set(isHeld() ? 1 : 0);
    },
  });
}

/**
 * Adds the health of the store to the metrics.
 * @param copies whether the gateway copies the database
 */
export function measureStore(metrics: Registry, health: Store['health'], copies: boolean): void {
  const registers = [metrics];
  new Gauge({
    name: 'patchbay_store_writable',
    help: 'Whether the database takes writes; while it does not, changes are refused; 1 or 0',
    registers,
    collect() {
      this.set(health().writable ? 1 : 0);
    },
  });
  // Absent where it would always be 0, which means that copies are missing.
  if (copies) {
    new Gauge({
      name: 'patchbay_backup_timestamp_seconds',
      help: 'When the database was copied last; 0: never',
      registers,
      collect() {
        this.set((health().backedUpAt ?? 0) / 1_000);
      },
    });
  }
  new Gauge({
    name: 'patchbay_store_writes_waiting',
    help: 'Writes that are not in the database yet',
    registers,
    collect() {
      this.set(health().waiting);
    },
  });
}

/** Adds what is kept for readers of events. */
export function measureEvents(metrics: Registry, feed: EventFeed): void {
  new Counter({
    name: 'patchbay_event_levels_dropped_total',
    help: 'Events `levels` that were not sent since their readers had not read the ones before',
    registers: [metrics],
    collect() {
      this.reset();
      this.inc(feed.counts().dropped);
    },
  });
  new Gauge({
    name: 'patchbay_event_readers',
    help: 'Streams of events that are being read',
    registers: [metrics],
    collect() {
      this.set(feed.counts().readers);
    },
  });
  new Gauge({
    name: 'patchbay_event_bytes',
    help: 'Bytes of events that are kept for readers that come back',
    registers: [metrics],
    collect() {
      this.set(feed.counts().bytes);
    },
  });
}

/** Adds what is kept of the SIP messages of calls. */
export function measureTraces(metrics: Registry, ring: TraceRing | undefined): void {
  const registers = [metrics];
  const counts = () => ring?.counts() ?? { calls: 0, bytes: 0, dropped: { calls: 0, messages: 0 } };
  new Gauge({
    name: 'patchbay_trace_calls',
    help: 'Calls whose SIP messages are kept',
    registers,
    collect() {
      this.set(counts().calls);
    },
  });
  new Gauge({
    name: 'patchbay_trace_bytes',
    help: 'Memory that the SIP messages of calls take (PATCHBAY_TRACE_MB)',
    registers,
    collect() {
      this.set(counts().bytes);
    },
  });
  new Counter({
    name: 'patchbay_trace_dropped_total',
    help: 'What is not kept of SIP messages any more: whole calls, and messages of calls with too many',
    labelNames: ['what'],
    registers,
    collect() {
      this.reset();
      for (const [what, count] of Object.entries(counts().dropped)) this.inc({ what }, count);
    },
  });
}
