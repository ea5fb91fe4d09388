import { createHash, timingSafeEqual } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { type WebSocket, WebSocketServer } from 'ws';
import { type Clock, hangUp, type Log, systemClock } from '../../shared/index.js';
import type { Desk } from '../leader/desk.js';
import type { FromEdge, FromLeader } from '../messages.js';
import { decodeFromEdge } from './codec.js';
import {
  CLOSE,
  CLUSTER_PATH,
  DEFAULT_LINK_LIMITS,
  type LinkEnd,
  type LinkLimits,
  PROTOCOL,
  PROTOCOL_HEADER,
  RemoteLink,
  socketOptions,
} from './remote-link.js';

/** Connections at a time: more gateways than a leader could serve. */
const MAX_CONNECTIONS = 256;

interface EdgeDoorOptions {
  /** The secret that all gateways of the database know. */
  readonly secret: string;
  readonly clock?: Clock;
  readonly log: Log;
  /** Those that differ from the default. */
  readonly limits?: Partial<LinkLimits & { readonly connections: number }>;
}

/** Counts for monitoring. */
interface EdgeDoorCounters {
  readonly connections: number;
  /** Upgrades refused: without the secret, since this gateway does not lead, or since there are too many. */
  readonly refused: { readonly secret: number; readonly noLeader: number; readonly full: number };
  /** Connections ended: by a gateway of another version, by an invalid message, by silence, or since their end was too slow. */
  readonly ended: {
    readonly version: number;
    readonly invalid: number;
    readonly silent: number;
    readonly slow: number;
  };
}

/** Where edges of other gateways come in: gives their connections to the desk, while this gateway leads. */
export class EdgeDoor {
  readonly #options: EdgeDoorOptions;
  readonly #limits: LinkLimits;
  readonly #clock: Clock;
  readonly #secret: Buffer;
  readonly #sockets: WebSocketServer;
  readonly #links = new Set<RemoteLink<FromLeader, FromEdge>>();
  #desk: Desk | undefined;
  readonly #refused = { secret: 0, noLeader: 0, full: 0 };
  readonly #ended = { version: 0, invalid: 0, silent: 0, slow: 0 };

  constructor(options: EdgeDoorOptions) {
    this.#options = options;
    this.#limits = { ...DEFAULT_LINK_LIMITS, ...options.limits };
    this.#clock = options.clock ?? systemClock;
    this.#secret = digest(options.secret);
    this.#sockets = new WebSocketServer({ noServer: true, ...socketOptions(this.#limits) });
  }

  counters(): EdgeDoorCounters {
    return { connections: this.#links.size, refused: { ...this.#refused }, ended: { ...this.#ended } };
  }

  /** Edges are let in from now on. */
  lead(desk: Desk): void {
    this.#desk = desk;
  }

  /** Takes an upgrade request of the private HTTP server. */
  upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    // Nobody else listens yet.
    socket.on('error', () => socket.destroy());
    const refusal = this.#refusal(request);
    if (refusal !== undefined) {
      hangUp(socket, `HTTP/1.1 ${refusal}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`);
      return;
    }
    this.#sockets.handleUpgrade(request, socket, head, (opened) => this.#accept(opened, request, socket));
  }

  /** Closes all connections, and lets nobody in any more. */
  stop(): void {
    this.#desk = undefined;
    for (const link of [...this.#links]) link.closeWith(CLOSE.goingAway, 'This gateway leads no more.');
  }

  /** @returns the status with which a request is refused */
  #refusal({ url = '/', headers }: IncomingMessage): string | undefined {
    const [path] = url.split('?', 1);
    if (path !== CLUSTER_PATH) return '404 Not Found';
    const given = /^Bearer (.*)$/.exec(headers.authorization ?? '')?.[1] ?? '';
    if (!timingSafeEqual(digest(given), this.#secret)) {
      this.#refused.secret += 1;
      return '401 Unauthorized';
    }
    if (!this.#desk) {
      this.#refused.noLeader += 1;
      return '503 Service Unavailable';
    }
    if (this.#links.size < (this.#options.limits?.connections ?? MAX_CONNECTIONS)) return undefined;
    this.#refused.full += 1;
    return '503 Service Unavailable';
  }

  #accept(socket: WebSocket, { headers }: IncomingMessage, stream: Duplex): void {
    const { log } = this.#options;
    const address = 'remoteAddress' in stream ? String(stream.remoteAddress) : '';
    const version = Number(headers[PROTOCOL_HEADER]);
    if (version !== PROTOCOL) {
      this.#ended.version += 1;
      log.warn({ address, version, own: PROTOCOL }, 'A gateway of another version cannot be let in.');
      socket.on('error', () => undefined);
      socket.close(CLOSE.otherVersion, refusalOf(version));
      return;
    }
    const link = new RemoteLink<FromLeader, FromEdge>({
      socket,
      stream,
      decode: decodeFromEdge,
      limits: this.#limits,
      clock: this.#clock,
      log,
      ended: (why, detail) => {
        this.#links.delete(link);
        this.#count(why);
        log.info({ address, why, detail }, 'The connection of an edge has ended.');
      },
    });
    this.#links.add(link);
    const desk = this.#desk;
    if (desk) link.listen(desk.accept(link));
    else link.closeWith(CLOSE.goingAway, 'This gateway leads no more.');
  }

  #count(why: LinkEnd): void {
    if (why === 'invalid message') this.#ended.invalid += 1;
    else if (why === 'silent') this.#ended.silent += 1;
    else if (why === 'too slow') this.#ended.slow += 1;
  }
}

/** Says in the reason of a close (123 bytes at most) which gateway is to be upgraded. */
function refusalOf(version: number): string {
  const which = version > PROTOCOL ? 'the leader' : 'this gateway';
  return `The leader speaks version ${String(PROTOCOL)}, this gateway ${String(version)}: upgrade ${which}.`;
}

/** Equally long for all texts, so that comparing takes no different times. */
function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}
