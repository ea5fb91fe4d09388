import type { Clock, CoreLog, Timer } from '../../core/index.js';
import type { UsageStore } from '../usage-store.js';
import { WebhookRefusedError } from './webhook-sender.js';
import type { Webhook } from './webhook.js';

/** Bounds of the queue. */
export interface QueueLimits {
  /** Webhooks not delivered yet; beyond it new ones are dropped and counted. */
  readonly size: number;
  /** The same for those of one participant, so that none fills the queue alone. */
  readonly sizePerParticipant: number;
  /** Attempts under way at a time, in all and to one server. */
  readonly concurrency: number;
  readonly concurrencyPerServer: number;
  /** The mean wait after the first failed attempt; it doubles with each further one. */
  readonly firstRetryMs: number;
  readonly longestRetryMs: number;
  /** How old an event may become before it is given up. */
  readonly giveUpMs: number;
}

export const DEFAULT_QUEUE_LIMITS: QueueLimits = {
  size: 10_000,
  sizePerParticipant: 500,
  concurrency: 128,
  concurrencyPerServer: 16,
  firstRetryMs: 1_000,
  longestRetryMs: 60_000,
  giveUpMs: 3_600_000,
};

/** What became of webhooks so far. */
export interface WebhookCounts {
  readonly waiting: number;
  readonly delivered: number;
  /** Attempts that failed, whatever became of the webhook. */
  readonly failedAttempts: number;
  readonly givenUp: number;
  readonly dropped: number;
}

/** A participant's webhooks in their order; only the first is ever under way. */
interface Line {
  readonly webhooks: Webhook[];
  readonly server: string;
  attempts: number;
}

/** `410 Gone`: the application wants no more of it, ever. */
const GONE = 410;

/**
 * Delivers webhooks: those of a participant one after the other, those of different participants beside each
 * other. What is not delivered stays in the store.
 */
export class WebhookQueue {
  readonly #store: UsageStore;
  readonly #send: (webhook: Webhook) => Promise<void>;
  readonly #clock: Clock;
  readonly #limits: QueueLimits;
  readonly #log: CoreLog;
  readonly #random: () => number;
  readonly #lines = new Map<string, Line>();
  /** Lines whose first webhook is due, in the order of becoming so. */
  readonly #due = new Set<Line>();
  readonly #retries = new Set<Timer>();
  readonly #busyServers = new Map<string, number>();
  readonly #underWay = new Set<Promise<void>>();
  readonly #counts = { waiting: 0, delivered: 0, failedAttempts: 0, givenUp: 0, dropped: 0 };
  #stopped = false;

  constructor(parts: {
    store: UsageStore;
    send: (webhook: Webhook) => Promise<void>;
    clock: Clock;
    limits: QueueLimits;
    log: CoreLog;
    /** From 0 to 1. Default: `Math.random`. */
    random?: () => number;
  }) {
    this.#store = parts.store;
    this.#send = parts.send;
    this.#clock = parts.clock;
    this.#limits = parts.limits;
    this.#log = parts.log;
    this.#random = parts.random ?? Math.random;
    for (const webhook of parts.store.webhooks()) this.#append(webhook);
    this.#fill();
  }

  counts(): WebhookCounts {
    return { ...this.#counts };
  }

  /** Takes a webhook to deliver and keeps it in the store until that has happened. */
  add(webhook: Webhook): void {
    const waiting = this.#lines.get(webhook.body.participantId)?.webhooks.length ?? 0;
    if (this.#counts.waiting >= this.#limits.size || waiting >= this.#limits.sizePerParticipant) {
      this.#counts.dropped += 1;
      this.#log.warn({ ...about(webhook), dropped: this.#counts.dropped }, 'webhook dropped: too many wait');
      return;
    }
    this.#store.saveWebhook(webhook);
    this.#append(webhook);
    this.#fill();
  }

  /** Starts no further attempt and resolves when those under way have ended. */
  async stop(): Promise<void> {
    this.#stopped = true;
    for (const retry of this.#retries) retry.cancel();
    await Promise.all(this.#underWay);
  }

  #append(webhook: Webhook): void {
    this.#counts.waiting += 1;
    const key = webhook.body.participantId;
    const line = this.#lines.get(key);
    if (line) {
      line.webhooks.push(webhook);
      return;
    }
    const fresh: Line = { webhooks: [webhook], server: new URL(webhook.url).origin, attempts: 0 };
    this.#lines.set(key, fresh);
    this.#due.add(fresh);
  }

  /** Starts as many attempts as there is room for. */
  #fill(): void {
    if (this.#stopped) return;
    for (const line of this.#due) {
      if (this.#underWay.size >= this.#limits.concurrency) return;
      if ((this.#busyServers.get(line.server) ?? 0) >= this.#limits.concurrencyPerServer) continue;
      this.#due.delete(line);
      this.#start(line);
    }
  }

  #start(line: Line): void {
    const webhook = line.webhooks[0]!;
    this.#countServer(line.server, 1);
    const attempt = this.#send(webhook)
      .then(
        () => this.#succeeded(line, webhook),
        (error: unknown) => this.#failed(line, webhook, error),
      )
      .finally(() => {
        this.#underWay.delete(attempt);
        this.#countServer(line.server, -1);
        this.#fill();
      });
    this.#underWay.add(attempt);
  }

  #succeeded(line: Line, webhook: Webhook): void {
    this.#counts.delivered += 1;
    this.#log.debug(about(webhook), 'webhook delivered');
    this.#next(line, webhook);
  }

  #failed(line: Line, webhook: Webhook, error: unknown): void {
    // An attempt that was broken off by stopping says nothing of the application.
    if (this.#stopped) return;
    this.#counts.failedAttempts += 1;
    line.attempts += 1;
    const gone = error instanceof WebhookRefusedError && error.status === GONE;
    if (gone || this.#clock.now() - webhook.createdAt >= this.#limits.giveUpMs) {
      this.#counts.givenUp += 1;
      this.#log.warn({ ...about(webhook), err: error, attempts: line.attempts }, 'webhook given up');
      this.#next(line, webhook);
      return;
    }
    this.#log.info(
      { ...about(webhook), err: error, attempts: line.attempts },
      'webhook failed, to be retried',
    );
    this.#retryLater(line);
  }

  #retryLater(line: Line): void {
    const { firstRetryMs, longestRetryMs } = this.#limits;
    const timer = this.#clock.setTimeout(
      () => {
        this.#retries.delete(timer);
        this.#due.add(line);
        this.#fill();
      },
      // Spread over half of the wait, so that an application that was down is not met by all at once.
      Math.min(firstRetryMs * 2 ** (line.attempts - 1), longestRetryMs) * (0.75 + this.#random() / 2),
    );
    this.#retries.add(timer);
  }

  /** Is done with the first webhook of a line, one way or the other. */
  #next(line: Line, webhook: Webhook): void {
    this.#store.deleteWebhook(webhook.id);
    this.#counts.waiting -= 1;
    line.webhooks.shift();
    line.attempts = 0;
    if (line.webhooks.length > 0) this.#due.add(line);
    else this.#lines.delete(webhook.body.participantId);
  }

  #countServer(server: string, change: 1 | -1): void {
    const count = (this.#busyServers.get(server) ?? 0) + change;
    if (count === 0) this.#busyServers.delete(server);
    else this.#busyServers.set(server, count);
  }
}

/** For the log; a callback URL may hold secrets in its path and query. */
function about({ id, url, body }: Webhook): object {
  return { webhook: id, event: body.event, participantId: body.participantId, server: new URL(url).origin };
}
