import type { Timer } from '../../shared/index.js';
import type { Webhook } from './webhook.js';

export interface QueueLimits {
  /**
   * Undelivered webhooks, each counted once for every 4 kB or part of it. When the queue is full, the account that has
   * the most loses one.
   */
  readonly size: number;
  /** Webhooks of one participant, so that none fills the queue alone; more are dropped. */
  readonly sizePerParticipant: number;
  /** Attempts under way at a time: in all, of one account, and of one account to one server. */
  readonly concurrency: number;
  readonly concurrencyPerAccount: number;
  readonly concurrencyPerServer: number;
  /** Attempts that an account may have under way even if the others use up `concurrency`. */
  readonly concurrencyOwn: number;
  /** Mean wait after the first failed attempt; it doubles with each further one. */
  readonly firstRetryMs: number;
  readonly longestRetryMs: number;
  /**
   * After this many timeouts in a row a server is left alone. The n-th such rest is as long as the wait after the n-th
   * failed attempt of a webhook.
   */
  readonly timeoutsBeforeRest: number;
  /** Age at which an undelivered event is given up. */
  readonly giveUpMs: number;
}

export const DEFAULT_QUEUE_LIMITS: QueueLimits = {
  size: 10_000,
  sizePerParticipant: 500,
  concurrency: 128,
  concurrencyPerAccount: 32,
  concurrencyPerServer: 16,
  concurrencyOwn: 4,
  firstRetryMs: 1_000,
  longestRetryMs: 60_000,
  timeoutsBeforeRest: 3,
  giveUpMs: 3_600_000,
};

export interface WaitingWebhooks {
  /** Webhooks that are not delivered yet. */
  readonly waiting: number;
  /** Participants whose next webhook has failed, and is tried again. */
  readonly failing: number;
}

export interface WebhookCounts extends WaitingWebhooks {
  readonly delivered: number;
  /** Failed attempts, whether or not the webhook was delivered later. */
  readonly failedAttempts: number;
  readonly givenUp: number;
  readonly dropped: number;
  /** Parts of `dropped`: the participant had too many; or the queue was full and the account had the most. */
  readonly droppedOfParticipant: number;
  readonly droppedOfAccount: number;
  /** How often a server was left alone for a while, since it timed out repeatedly. */
  readonly rests: number;
  /** Servers, counted for each account, that webhooks wait for or that are left alone. */
  readonly servers: number;
}

/** One event that waits to be delivered. */
export interface Waiting {
  readonly webhook: Webhook;
  /** On the monotonic clock. */
  readonly bornAt: number;
  readonly weight: number;
}

/** A participant's webhooks in order; only the first is ever under way. */
export interface Line {
  readonly participantId: string;
  readonly waiting: Waiting[];
  readonly server: Server;
  attempts: number;
  underWay: boolean;
  retry: Timer | undefined;
}

/** A server that one account's webhooks go to; other accounts have their own `Server` for the same origin. */
export class Server {
  readonly share: Share;
  readonly origin: string;
  /** Lines whose first webhook is due, the longest due first. */
  readonly due = new Set<Line>();
  busy = 0;
  lines = 0;
  /** Timeouts since the last answer. */
  timeouts = 0;
  /** Rests since the last answer; after a rest it gets one attempt at a time. */
  rests = 0;
  resting: Timer | undefined;

  constructor(share: Share, origin: string) {
    this.share = share;
    this.origin = origin;
  }
}

/** One account's part of the queue. */
export class Share {
  readonly lines = new Set<Line>();
  readonly servers = new Map<string, Server>();
  /** Servers with a due webhook and room for an attempt, in the order of their turns. */
  readonly ready = new Set<Server>();
  /** Sum of the weights of waiting webhooks. */
  weight = 0;
  /** Attempts under way. */
  busy = 0;
  dropped = 0;

  server(origin: string): Server {
    const known = this.servers.get(origin);
    if (known) return known;
    const server = new Server(this, origin);
    this.servers.set(origin, server);
    return server;
  }

  get counts(): WaitingWebhooks {
    let [waiting, failing] = [0, 0];
    for (const line of this.lines) {
      waiting += line.waiting.length;
      if (line.attempts > 0) failing += 1;
    }
    return { waiting, failing };
  }

  get idle(): boolean {
    return this.lines.size === 0 && this.busy === 0;
  }
}
