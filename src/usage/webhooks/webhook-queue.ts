import type { UsageStore } from '../usage-store.js';
import type { Clock, Log, Timer } from '../../shared/index.js';
import {
  type Line,
  type QueueLimits,
  type Server,
  Share,
  type Waiting,
  type WaitingWebhooks,
  type WebhookCounts,
} from './shares.js';
import { WebhookRefusedError, WebhookTimeoutError } from './webhook-sender.js';
import { about, accountOf, type Webhook, weightOf } from './webhook.js';

/** `410 Gone`: the application does not want this webhook again. */
const GONE = 410;
/** One in this many drops of an account is logged; a line for each would flood the log. */
const LOGGED_DROPS = 1_000;

/**
 * Delivers webhooks: those of one participant in order, those of different participants in parallel. Undelivered ones
 * stay in the store. Each account has its share of room and attempts, so that one whose server never answers delays and
 * loses only its own events.
 */
export class WebhookQueue {
  readonly #store: UsageStore;
  readonly #send: (webhook: Webhook) => Promise<void>;
  readonly #clock: Clock;
  readonly #limits: QueueLimits;
  readonly #log: Log;
  readonly #random: () => number;
  /** By account. */
  readonly #shares = new Map<string, Share>();
  /** By participant. */
  readonly #lines = new Map<string, Line>();
  readonly #timers = new Set<Timer>();
  readonly #underWay = new Set<Promise<void>>();
  readonly #counts = {
    waiting: 0,
    delivered: 0,
    failedAttempts: 0,
    givenUp: 0,
    droppedOfParticipant: 0,
    droppedOfAccount: 0,
    rests: 0,
  };
  #weight = 0;
  #stopped = false;

  constructor(parts: {
    store: UsageStore;
    send: (webhook: Webhook) => Promise<void>;
    clock: Clock;
    limits: QueueLimits;
    log: Log;
    /** From 0 to 1. Default: `Math.random`. */
    random?: () => number;
  }) {
    this.#store = parts.store;
    this.#send = parts.send;
    this.#clock = parts.clock;
    this.#limits = parts.limits;
    this.#log = parts.log;
    this.#random = parts.random ?? Math.random;
    for (const webhook of parts.store.webhooks()) this.#append(webhook, weightOf(webhook));
    this.#fill();
  }

  counts(): WebhookCounts {
    const { droppedOfParticipant, droppedOfAccount } = this.#counts;
    let [servers, failing] = [0, 0];
    for (const share of this.#shares.values()) servers += share.servers.size;
    for (const { attempts } of this.#lines.values()) if (attempts > 0) failing += 1;
    const dropped = droppedOfParticipant + droppedOfAccount;
    return { ...this.#counts, dropped, servers, failing };
  }

  /** What waits of one account. */
  countsOf(accountId: string): WaitingWebhooks {
    return this.#shares.get(accountId)?.counts ?? { waiting: 0, failing: 0 };
  }

  /** Queues a webhook, and keeps it in the store until it is delivered or given up. */
  add(webhook: Webhook): void {
    const waiting = this.#lines.get(webhook.body.participantId)?.waiting.length ?? 0;
    if (waiting >= this.#limits.sizePerParticipant) {
      this.#counts.droppedOfParticipant += 1;
      this.#logDrop(webhook, this.#share(webhook), 'too many of the participant wait');
      return;
    }
    const weight = weightOf(webhook);
    while (this.#weight + weight > this.#limits.size) {
      if (!this.#makeRoom(this.#shares.get(accountOf(webhook))?.weight ?? 0)) {
        this.#counts.droppedOfAccount += 1;
        this.#logDrop(webhook, this.#share(webhook), 'too many of the account wait');
        return;
      }
    }
    this.#store.saveWebhook(webhook);
    this.#append(webhook, weight);
    this.#fill();
  }

  /** Starts no further attempt and resolves when those under way have ended. */
  async stop(): Promise<void> {
    this.#stopped = true;
    for (const timer of this.#timers) timer.cancel();
    await Promise.all(this.#underWay);
  }

  /** Drops one webhook of the account that has the most. @returns false when that is the account that needs the room */
  #makeRoom(weightOfAsking: number): boolean {
    let most: Share | undefined;
    for (const share of this.#shares.values()) if (share.weight > (most?.weight ?? 0)) most = share;
    if (!most || most.weight <= weightOfAsking) return false;
    for (const line of most.lines) {
      // A webhook under way cannot be dropped.
      if (line.waiting.length === (line.underWay ? 1 : 0)) continue;
      const last = line.waiting.at(-1)!;
      this.#counts.droppedOfAccount += 1;
      this.#logDrop(last.webhook, most, 'too many of the account wait');
      this.#remove(line, last);
      return true;
    }
    return false;
  }

  #share(webhook: Webhook): Share {
    const accountId = accountOf(webhook);
    const share = this.#shares.get(accountId) ?? new Share();
    this.#shares.set(accountId, share);
    return share;
  }

  #append(webhook: Webhook, weight: number): void {
    const age = Math.max(0, this.#clock.now() - webhook.createdAt);
    const waiting = { webhook, weight, bornAt: this.#clock.monotonic() - age };
    const { participantId } = webhook.body;
    let line = this.#lines.get(participantId);
    if (!line) {
      const share = this.#share(webhook);
      const server = share.server(new URL(webhook.url).origin);
      line = { participantId, waiting: [], server, attempts: 0, underWay: false, retry: undefined };
      this.#lines.set(participantId, line);
      share.lines.add(line);
      server.lines += 1;
      this.#makeDue(line);
    }
    line.waiting.push(waiting);
    line.server.share.weight += weight;
    this.#weight += weight;
    this.#counts.waiting += 1;
  }

  #makeDue(line: Line): void {
    line.server.due.add(line);
    this.#judge(line.server);
  }

  /** Updates whether the server is in its account's `ready` set. */
  #judge(server: Server): void {
    const { due, resting, busy, rests, share } = server;
    const room = rests > 0 ? 1 : this.#limits.concurrencyPerServer;
    // Re-added at the end: servers take turns.
    share.ready.delete(server);
    if (due.size > 0 && !resting && busy < room) share.ready.add(server);
  }

  /** Starts as many attempts as the limits allow, one of each account in turn. */
  #fill(): void {
    if (this.#stopped) return;
    for (let started = true; started;) {
      started = false;
      for (const share of this.#shares.values()) {
        const [server] = share.ready;
        if (!server || !this.#hasRoom(share)) continue;
        this.#start(server);
        started = true;
      }
    }
  }

  #hasRoom({ busy }: Share): boolean {
    const { concurrency, concurrencyPerAccount, concurrencyOwn } = this.#limits;
    if (busy < Math.min(concurrencyOwn, concurrency)) return true;
    return busy < concurrencyPerAccount && this.#underWay.size < concurrency;
  }

  #start(server: Server): void {
    const [line] = server.due;
    const first = line!.waiting[0]!;
    server.due.delete(line!);
    line!.underWay = true;
    this.#countBusy(server, 1);
    const attempt = this.#send(first.webhook)
      .then(
        () => this.#succeeded(line!, first),
        (error: unknown) => this.#failed(line!, first, error),
      )
      .finally(() => {
        this.#underWay.delete(attempt);
        this.#countBusy(server, -1);
        this.#forgetIdle(server);
        this.#fill();
      });
    this.#underWay.add(attempt);
  }

  #countBusy(server: Server, change: 1 | -1): void {
    server.busy += change;
    server.share.busy += change;
    this.#judge(server);
  }

  #succeeded(line: Line, waiting: Waiting): void {
    this.#counts.delivered += 1;
    this.#log.debug(about(waiting.webhook), 'webhook delivered');
    this.#answered(line.server);
    this.#next(line, waiting);
  }

  #failed(line: Line, waiting: Waiting, error: unknown): void {
    // An attempt aborted by stop says nothing about the application.
    if (this.#stopped) return;
    this.#counts.failedAttempts += 1;
    line.attempts += 1;
    if (error instanceof WebhookTimeoutError) this.#timedOut(line.server);
    else this.#answered(line.server);
    const gone = error instanceof WebhookRefusedError && error.status === GONE;
    if (gone || this.#isTooOld(waiting)) {
      this.#giveUp(line, waiting, error);
      return;
    }
    this.#log.info(
      { ...about(waiting.webhook), err: error, attempts: line.attempts },
      'webhook failed, to be retried',
    );
    line.underWay = false;
    line.retry = this.#after(this.#pause(line.attempts), () => {
      line.retry = undefined;
      this.#makeDue(line);
    });
  }

  #giveUp(line: Line, waiting: Waiting, error: unknown): void {
    this.#counts.givenUp += 1;
    this.#log.warn({ ...about(waiting.webhook), err: error, attempts: line.attempts }, 'webhook given up');
    this.#next(line, waiting);
  }

  #isTooOld({ bornAt }: Waiting): boolean {
    return this.#clock.monotonic() - bornAt >= this.#limits.giveUpMs;
  }

  #answered(server: Server): void {
    server.timeouts = 0;
    server.rests = 0;
  }

  /** Asks a server that does not answer less and less often, since each attempt takes up a place of its account. */
  #timedOut(server: Server): void {
    server.timeouts += 1;
    if (server.resting || server.timeouts < this.#limits.timeoutsBeforeRest) return;
    server.rests += 1;
    this.#counts.rests += 1;
    server.resting = this.#after(this.#pause(server.rests), () => {
      server.resting = undefined;
      // Give up, without an attempt, events that became too old during the rest.
      for (const line of server.due) {
        const first = line.waiting[0]!;
        if (this.#isTooOld(first)) this.#giveUp(line, first, undefined);
      }
      this.#judge(server);
      this.#forgetIdle(server);
    });
  }

  /** With jitter, so that an application that was down does not get all retries at once. */
  #pause(failures: number): number {
    const { firstRetryMs, longestRetryMs } = this.#limits;
    return Math.min(firstRetryMs * 2 ** (failures - 1), longestRetryMs) * (0.75 + this.#random() / 2);
  }

  #after(ms: number, act: () => void): Timer {
    const timer = this.#clock.setTimeout(() => {
      this.#timers.delete(timer);
      act();
      this.#fill();
    }, ms);
    this.#timers.add(timer);
    return timer;
  }

  /** Removes the first webhook of a line, delivered or not, and goes on with the next. */
  #next(line: Line, waiting: Waiting): void {
    line.attempts = 0;
    line.underWay = false;
    line.server.due.delete(line);
    this.#remove(line, waiting);
    if (line.waiting.length > 0) this.#makeDue(line);
  }

  #remove(line: Line, waiting: Waiting): void {
    const { server } = line;
    this.#store.deleteWebhook(waiting.webhook.id);
    this.#counts.waiting -= 1;
    this.#weight -= waiting.weight;
    server.share.weight -= waiting.weight;
    line.waiting.splice(line.waiting.indexOf(waiting), 1);
    if (line.waiting.length > 0) return;
    if (line.retry) {
      line.retry.cancel();
      this.#timers.delete(line.retry);
    }
    this.#lines.delete(line.participantId);
    server.share.lines.delete(line);
    server.lines -= 1;
    server.due.delete(line);
    this.#judge(server);
    this.#forgetIdle(server);
  }

  /** Keeps a server that rests: if it were forgotten, the account's next webhook would end the rest. */
  #forgetIdle(server: Server): void {
    const { share, origin } = server;
    if (server.lines === 0 && server.busy === 0 && !server.resting) {
      share.servers.delete(origin);
      share.ready.delete(server);
    }
    if (!share.idle || share.servers.size > 0) return;
    for (const [accountId, known] of this.#shares) if (known === share) this.#shares.delete(accountId);
  }

  #logDrop(webhook: Webhook, share: Share, why: string): void {
    if (share.dropped++ % LOGGED_DROPS > 0) return;
    this.#log.warn(
      { ...about(webhook), dropped: this.counts().dropped, ofAccount: share.dropped },
      `webhook dropped: ${why}`,
    );
  }
}
