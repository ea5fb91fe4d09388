import { v7 as uuid } from 'uuid';
import { type AskedEvent, type Core, type DeviceEvent, type Participant } from '../core/index.js';
import { type Clock, type Log, systemClock } from '../shared/index.js';
import { type ConnectionQuery, Connections, type UsageConnection } from './connections.js';
import { FailedCalls, type ListedFailure, Reports } from './report.js';
import { Ledger } from './ledger.js';
import type { UsageFilter, UsageReport } from './records.js';
import type { KeptRecord, UsageStore, WrittenRecord } from './usage-store.js';
import type { TargetRules } from './webhooks/target-guard.js';
import {
  DEFAULT_QUEUE_LIMITS,
  type QueueLimits,
  type WaitingWebhooks,
  type WebhookCounts,
} from './webhooks/shares.js';
import { WebhookQueue } from './webhooks/webhook-queue.js';
import { WebhookSender } from './webhooks/webhook-sender.js';
import {
  announcementBody,
  callFailedBody,
  connectionFacts,
  dtmfBody,
  eventId,
  speakingBody,
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
  /**
   * Connections of an account, the newest first.
   * @throws PatchbayError TOO_MANY_REQUESTS, OVERLOADED
   */
  connections(accountId: string, query: ConnectionQuery): Promise<readonly UsageConnection[]>;
  /** A text that says why the operator's rules refuse a callback URL; undefined if they do not. */
  callbackRefusal(url: string): Promise<string | undefined>;
  /** The last refused calls of an account, the newest first, since the gateway's start. */
  failedCalls(accountId: string): readonly ListedFailure[];
  webhookCounts(): WebhookCounts;
  /** Webhooks of an account that wait. */
  webhooksOf(accountId: string): WaitingWebhooks;
  /**
   * Closes the records that a dead gateway left open, and sends their events. To be called once, when the devices that
   * go on are connected again.
   */
  closeCrashed(): void;
  /** Whether the connection of a device goes on, or may do so: a dead gateway has left its record open. */
  isOpen(connectionId: string): boolean;
  /** Whether a dead gateway has left a connection of a participant open that may still go on. */
  isMissing(participantId: string): boolean;
  /** Waits a short while for webhooks under way, and resolves when everything is on disk. */
  stop(): Promise<void>;
}

/**
 * Starts webhooks and usage records for a core that has no devices yet, and goes on with the undelivered webhooks of the
 * gateway before.
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
  const notify: Notify = ({ accountId, callbackUrl: url }, eventId, body) => {
    if (url !== undefined) queue.add({ id: uuid(), eventId, accountId, url, createdAt: clock.now(), body });
  };
  const ledger = new Ledger({ core, store, clock, retentionMs: options.retentionMs ?? DEFAULT_RETENTION_MS });
  notifyOfDevices(core, clock, notify);
  const failedCalls = new FailedCalls(core);
  const lengthOf = (open: WrittenRecord): number | undefined => ledger.lengthOf(open);
  const reports = new Reports({ store, clock, lengthOf });
  const connections = new Connections(store, lengthOf, () => clock.now());
  return {
    query: (accountId, filter) => reports.query(accountId, filter),
    connections: (accountId, query) => connections.find(accountId, query),
    callbackRefusal: (url) => sender.refusal(url),
    failedCalls: (accountId) => failedCalls.of(accountId),
    webhookCounts: () => queue.counts(),
    webhooksOf: (accountId) => queue.countsOf(accountId),
    isOpen: (connectionId) => ledger.isOpen(connectionId),
    isMissing: (participantId) => ledger.isMissing(participantId),
    closeCrashed: () => {
      for (const record of ledger.closeCrashed()) notifyOfCrash(record, notify);
    },
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

/** Queues an event for the application of a participant, if that has a callback URL. */
type Notify = (
  participant: Pick<Participant, 'accountId' | 'callbackUrl'>,
  eventId: string,
  body: WebhookBody,
) => void;

interface ReportedConnection {
  /** On the monotonic clock, in ms. */
  readonly since: number;
  /** How many of each event were sent. */
  readonly sent: Map<WebhookEvent, number>;
  /** Put before the numbers of events when an earlier gateway sent some too. */
  readonly run: string;
}

function notifyOfDevices(core: Core, clock: Clock, notify: Notify): void {
  /** By the device's id. */
  const connections = new Map<string, ReportedConnection>();
  const notifyNext = (event: DeviceEvent, body: WebhookBody): void => {
    const connection = connections.get(event.device.id);
    const which = (connection?.sent.get(body.event) ?? 0) + 1;
    connection?.sent.set(body.event, which);
    notify(event.participant, eventId(event.device.id, body.event, `${connection?.run ?? ''}${which}`), body);
  };
  core.on('connected', (event) => {
    connections.set(event.device.id, { since: clock.monotonic(), sent: new Map(), run: '' });
    notifyNext(event, {
      ...webhookBody('onConnect', event),
      ...connectionFacts(event.device, event.session?.id, event.formats),
    });
  });
  core.on('carriedOver', ({ at, device }) => {
    const since = clock.monotonic() - Math.max(0, clock.now() - at);
    connections.set(device.id, { since, sent: new Map(), run: `${clock.now()} ` });
  });
  core.on('signallingLost', (event) => notifyNext(event, webhookBody('onDisconnect', event)));
  core.on('left', (event) => {
    const since = connections.get(event.device.id)?.since ?? clock.monotonic();
    // The id has no number: a connection ends once, whichever gateway it began with.
    notify(event.participant, eventId(event.device.id, 'onLeave', 1), {
      ...webhookBody('onLeave', event),
      ...connectionFacts(event.device, event.session?.id, event.formats),
      reason: event.reason,
      seconds: Math.round(clock.monotonic() - since) / 1_000,
      ...(event.quality && { quality: event.quality }),
    });
    connections.delete(event.device.id);
  });
  core.on('dtmf', (event) => notifyNext(event, dtmfBody(event)));
  const notifyIfAsked = (asked: AskedEvent, name: WebhookEvent, event: DeviceEvent): void => {
    if (event.participant.events.includes(asked)) notifyNext(event, webhookBody(name, event));
  };
  core.on('callFailed', ({ at, participant, call }) => {
    if (!participant.events.includes('callFailed')) return;
    notify(participant, eventId(call.id, 'onCallFailed', 1), callFailedBody(at, participant, call));
  });
  core.on('speaking', (event) => {
    if (event.participant.events.includes('speaking')) notifyNext(event, speakingBody(event));
  });
  core.on('announcement', (event) => {
    if (event.participant.events.includes('announcement')) notifyNext(event, announcementBody(event));
  });
  core.on('held', (event) => notifyIfAsked('hold', 'onHold', event));
  core.on('resumed', (event) => notifyIfAsked('hold', 'onResume', event));
}

/** When the gateway died, the device lost its signalling and then its connection: two events. */
function notifyOfCrash(record: KeptRecord, notify: Notify): void {
  const { participantId, participantTag, deviceId } = record;
  const gone = {
    at: record.endedAt ?? record.seenAt,
    device: { externalId: deviceId },
    participant: { id: participantId, ...(participantTag === undefined ? {} : { tag: participantTag }) },
  };
  notify(record, eventId(record.connectionId, 'onDisconnect', 'crash'), webhookBody('onDisconnect', gone));
  // The same id as without a crash, since a connection ends only once.
  notify(record, eventId(record.connectionId, 'onLeave', 1), {
    ...webhookBody('onLeave', gone),
    ...connectionFacts(record, record.sessionId, record),
    reason: 'crashed',
    seconds: Math.max(0, gone.at - record.startedAt) / 1_000,
  });
}
