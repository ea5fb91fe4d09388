import { v7 as uuid } from 'uuid';
import { type AskedEvent, type Core, type DeviceEvent, type Participant } from '../core/index.js';
import { type Clock, type Log, systemClock } from '../shared/index.js';
import { FailedCalls, type ListedFailure } from './failed-calls.js';
import { Ledger } from './ledger.js';
import type { UsageFilter, UsageReport } from './records.js';
import { Reports } from './report.js';
import type { KeptRecord, UsageStore } from './usage-store.js';
import type { TargetRules } from './webhooks/target-guard.js';
import { DEFAULT_QUEUE_LIMITS, type QueueLimits, type WebhookCounts } from './webhooks/queue-limits.js';
import { WebhookQueue } from './webhooks/webhook-queue.js';
import { WebhookSender } from './webhooks/webhook-sender.js';
import {
  callFailedBody,
  connectionFacts,
  dtmfBody,
  eventId,
  webhookBody,
  type WebhookBody,
  type WebhookEvent,
} from './webhooks/webhook.js';

const DEFAULT_TIMEOUT_MS = 5_000;
const DEFAULT_RETENTION_MS = 400 * 86_400_000;
/** How long webhooks under way may take to end when the gateway stops. */
const STOP_GRACE_MS = 2_000;

interface UsageOptions {
  readonly core: Core;
  readonly store: UsageStore;
  readonly clock?: Clock;
  readonly log: Log;
  readonly webhooks?: WebhookOptions;
  /** How long usage records are kept after their end, in ms; default 400 days. */
  readonly retentionMs?: number;
}

interface WebhookOptions {
  /** Default: anything but link-local, metadata and group addresses. */
  readonly targets?: TargetRules;
  /** For one attempt, in ms; default 5,000. */
  readonly timeoutMs?: number;
  /** Those that differ from the default. */
  readonly limits?: Partial<QueueLimits>;
}

/** Sends webhooks about devices to applications, and keeps usage records of their connections. */
export interface Usage {
  /**
   * One page of an account's usage, up to now.
   * @throws PatchbayError BAD_REQUEST when the limit or the cursor is not valid, TOO_MANY_REQUESTS when too many reports
   * of the account are being made
   */
  query(accountId: string, filter: UsageFilter): Promise<UsageReport>;
  /** Why the operator's rules refuse a callback URL, in words; undefined when they do not. */
  callbackRefusal(url: string): Promise<string | undefined>;
  /** The last refused calls of an account, the newest first, since the gateway's start. */
  failedCalls(accountId: string): readonly ListedFailure[];
  webhookCounts(): WebhookCounts;
  /** Waits a short while for webhooks under way, and resolves when everything is on disk. */
  stop(): Promise<void>;
}

/**
 * Starts webhooks and usage records for a core that has no devices yet. First closes the records that a dead gateway
 * left open, sends their events, and goes on with its undelivered webhooks.
 * @throws Error when a target rule is neither an address nor a CIDR
 */
export function createUsage({ core, store, clock = systemClock, log, ...options }: UsageOptions): Usage {
  const { targets = {}, timeoutMs = DEFAULT_TIMEOUT_MS, limits } = options.webhooks ?? {};
  const sender = new WebhookSender({ targets, timeoutMs });
  const queue = new WebhookQueue({
    store,
    send: (webhook) => sender.send(webhook),
    clock,
    limits: { ...DEFAULT_QUEUE_LIMITS, ...limits },
    log,
  });
  const notify: Tell = ({ accountId, callbackUrl: url }, eventId, body) => {
    if (url !== undefined) queue.add({ id: uuid(), eventId, accountId, url, createdAt: clock.now(), body });
  };
  for (const record of Ledger.closeCrashed(store)) tellOfCrash(record, notify);
  const ledger = new Ledger({ core, store, clock, retentionMs: options.retentionMs ?? DEFAULT_RETENTION_MS });
  tellOfDevices(core, clock, notify);
  const failedCalls = new FailedCalls(core);
  const reports = new Reports({ store, clock, lengthOf: (open) => ledger.lengthOf(open) });
  return {
    query: (accountId, filter) => reports.query(accountId, filter),
    callbackRefusal: (url) => sender.refusal(url),
    failedCalls: (accountId) => failedCalls.of(accountId),
    webhookCounts: () => queue.counts(),
    stop: async () => {
      ledger.stop();
      const grace = clock.setTimeout(() => void sender.stop(), STOP_GRACE_MS);
      await queue.stop();
      grace.cancel();
      await sender.stop();
      await store.flush();
    },
  };
}

type Tell = (
  whom: Pick<Participant, 'accountId' | 'callbackUrl'>,
  eventId: string,
  body: WebhookBody,
) => void;

function tellOfDevices(core: Core, clock: Clock, tell: Tell): void {
  /** Of each connection, by the device's id: since when it is there, and how many of each event were told. */
  const connections = new Map<string, { readonly since: number; readonly told: Map<WebhookEvent, number> }>();
  const tellNext = (event: DeviceEvent, body: WebhookBody): void => {
    const told = connections.get(event.device.id)?.told;
    const which = (told?.get(body.event) ?? 0) + 1;
    told?.set(body.event, which);
    tell(event.participant, eventId(event.device.id, body.event, which), body);
  };
  core.on('connected', (event) => {
    connections.set(event.device.id, { since: clock.monotonic(), told: new Map() });
    tellNext(event, {
      ...webhookBody('onConnect', event),
      ...connectionFacts(event.device, event.session?.id),
    });
  });
  core.on('signallingLost', (event) => tellNext(event, webhookBody('onDisconnect', event)));
  core.on('left', (event) => {
    const since = connections.get(event.device.id)?.since ?? clock.monotonic();
    tellNext(event, {
      ...webhookBody('onLeave', event),
      ...connectionFacts(event.device, event.session?.id),
      reason: event.reason,
      seconds: Math.round(clock.monotonic() - since) / 1_000,
    });
    connections.delete(event.device.id);
  });
  core.on('dtmf', (event) => tellNext(event, dtmfBody(event)));
  const tellIfAsked = (asked: AskedEvent, name: WebhookEvent, event: DeviceEvent): void => {
    if (event.participant.events.includes(asked)) tellNext(event, webhookBody(name, event));
  };
  core.on('callFailed', ({ at, participant, call }) => {
    if (!participant.events.includes('callFailed')) return;
    tell(participant, eventId(call.id, 'onCallFailed', 1), callFailedBody(at, participant, call));
  });
  core.on('held', (event) => tellIfAsked('hold', 'onHold', event));
  core.on('resumed', (event) => tellIfAsked('hold', 'onResume', event));
}

/** When the gateway died, the device lost its signalling and then its connection: two events. */
function tellOfCrash(record: KeptRecord, tell: Tell): void {
  const { participantId, participantTag, deviceId } = record;
  const gone = {
    at: record.endedAt ?? record.seenAt,
    device: { externalId: deviceId },
    participant: { id: participantId, ...(participantTag === undefined ? {} : { tag: participantTag }) },
  };
  tell(record, eventId(record.connectionId, 'onDisconnect', 'crash'), webhookBody('onDisconnect', gone));
  // A connection ends once, however the gateway comes to know.
  tell(record, eventId(record.connectionId, 'onLeave', 1), {
    ...webhookBody('onLeave', gone),
    ...connectionFacts(record, record.sessionId),
    reason: 'crashed',
    seconds: Math.max(0, gone.at - record.startedAt) / 1_000,
  });
}
