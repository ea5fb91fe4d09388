import type { Timer } from '../../shared/index.js';
import type { Webhook } from './webhook.js';

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

  get idle(): boolean {
    return this.lines.size === 0 && this.busy === 0;
  }
}
