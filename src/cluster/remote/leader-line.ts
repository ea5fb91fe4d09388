import type { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import { WebSocket } from 'ws';
import { type Clock, describeError, type Log, systemClock, type Timer } from '../../shared/index.js';
import type { Edge } from '../edge/edge.js';
import type { Desk } from '../leader/desk.js';
import { connectLocally } from '../local-link.js';
import type { FromEdge, FromLeader } from '../messages.js';
import { decodeFromLeader } from './codec.js';
import {
  CLOSE,
  CLUSTER_PATH,
  DEFAULT_LINK_LIMITS,
  type LinkLimits,
  PROTOCOL,
  PROTOCOL_HEADER,
  RemoteLink,
  socketOptions,
} from './remote-link.js';

/** Pauses between attempts to reach the leader: each is twice the one before. */
const RETRY_MS = { first: 50, longest: 1_000 };
/** How long connecting may take. */
const CONNECT_LIMIT_MS = 2_000;

/** Where the leader is. */
interface FoundLeader {
  readonly epoch: number;
  /** `host:port`; absent: it cannot be reached. */
  readonly address?: string;
}

/** What is logged of an attempt or a connection that failed. */
interface Complaint {
  readonly err?: unknown;
  readonly address?: string;
  readonly epoch?: number;
  readonly why?: string;
  readonly detail?: string;
}

interface LeaderLineOptions {
  readonly edge: Edge;
  /** The secret that all gateways of the database know. */
  readonly secret: string;
  /** The present leader; undefined: there is none. It may fail while the database is away. */
  readonly findLeader: () => Promise<FoundLeader | undefined>;
  /** Calls back when what `findLeader` finds may have changed. @returns what ends that */
  readonly onLeader?: (listener: () => void) => () => void;
  readonly clock?: Clock;
  readonly log: Log;
  /** Those that differ from the default. */
  readonly limits?: Partial<LinkLimits>;
}

/**
 * Keeps an edge connected with the present leader: by a WebSocket, or locally when this gateway leads. It connects again for
 * as long as it takes, and leaves a leader when it hears of a newer one.
 */
export class LeaderLine {
  readonly #options: LeaderLineOptions;
  readonly #clock: Clock;
  readonly #limits: LinkLimits;
  #unlisten: (() => void) | undefined;
  #isRunning = false;
  /** Closes the connection in this process, while this gateway leads. */
  #local: (() => void) | undefined;
  #link: RemoteLink<FromEdge, FromLeader> | undefined;
  /** Of the leader that it is connected with, or connects to. */
  #epoch = 0;
  /** Ends the attempt that is under way. */
  #giveUp: (() => void) | undefined;
  #isLooking = false;
  /** Something may have changed while it looked. */
  #lookAgain = false;
  #timer: Timer | undefined;
  #pauseMs = RETRY_MS.first;
  #since: number;
  #address: string | undefined;
  readonly #changeListeners = new Set<() => void>();
  /** What was logged last of attempts that fail. */
  #complaint = '';

  constructor(options: LeaderLineOptions) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.#limits = { ...DEFAULT_LINK_LIMITS, ...options.limits };
    this.#since = this.#clock.now();
  }

  get isConnected(): boolean {
    return this.#options.edge.isConnected;
  }

  /** Since when it is connected, or is not; in epoch milliseconds. */
  get since(): number {
    return this.#since;
  }

  /** `host:port` of the leader that it is connected with, if that is another gateway. */
  get address(): string | undefined {
    return this.#address;
  }

  /** Calls back after each change of {@link isConnected} or {@link address}. @returns what ends that */
  onChange(listener: () => void): () => void {
    this.#changeListeners.add(listener);
    return () => void this.#changeListeners.delete(listener);
  }

  /** Resolves when it is connected. */
  async whenConnected(): Promise<void> {
    if (this.isConnected) return;
    await new Promise<void>((resolve) => {
      const unlisten = this.onChange(() => {
        if (!this.isConnected) return;
        unlisten();
        resolve();
      });
    });
  }

  /** Looks for the leader from now on. */
  start(): void {
    if (this.#isRunning) return;
    this.#isRunning = true;
    this.#unlisten = this.#options.onLeader?.(() => this.wake());
    this.wake();
  }

  /** Another leader may be there. */
  wake(): void {
    if (!this.#isRunning || this.#local) return;
    this.#pauseMs = RETRY_MS.first;
    this.#lookWithin(0);
  }

  /** This gateway has the lease: the leader of before must not count on its edge any more. */
  leaveLeader(): void {
    this.#disconnect('This gateway leads next.');
  }

  /** This gateway leads: the edge is connected with its desk, in this process. */
  goLocal(desk: Desk): void {
    this.#local?.();
    this.#disconnect('This gateway leads now.');
    this.#timer?.cancel();
    this.#local = connectLocally(this.#options.edge, desk);
    this.#changed();
  }

  /** This gateway leads no more: another leader is looked for. */
  goRemote(): void {
    this.#local?.();
    this.#local = undefined;
    this.#changed();
    this.wake();
  }

  /** Ends the connection, and looks for no other. */
  stop(): void {
    this.#isRunning = false;
    this.#unlisten?.();
    this.#timer?.cancel();
    this.#disconnect('The gateway stops.');
    this.#local?.();
    this.#local = undefined;
    this.#changed();
  }

  #changed(): void {
    this.#since = this.#clock.now();
    for (const listener of [...this.#changeListeners]) listener();
  }

  #disconnect(reason: string): void {
    this.#giveUp?.();
    this.#link?.closeWith(CLOSE.goingAway, reason);
  }

  #lookWithin(ms: number): void {
    this.#timer?.cancel();
    this.#timer = this.#clock.setTimeout(() => void this.#look(), ms);
  }

  #retry(): void {
    if (!this.#isRunning || this.#local) return;
    this.#lookWithin(this.#pauseMs);
    this.#pauseMs = Math.min(2 * this.#pauseMs, RETRY_MS.longest);
  }

  /** Looks who leads, and connects unless it is connected with that one. */
  async #look(): Promise<void> {
    this.#lookAgain = this.#isLooking;
    if (this.#isLooking) return;
    this.#isLooking = true;
    try {
      const leader = await this.#options.findLeader();
      if (this.#isRunning && !this.#local) this.#found(leader);
    } catch (error) {
      this.#complain({ err: error }, 'It cannot be found out which gateway leads.');
      if (!this.#link) this.#retry();
    } finally {
      this.#isLooking = false;
      if (this.#lookAgain) void this.#look();
    }
  }

  #found(leader: FoundLeader | undefined): void {
    const isBusy = this.#link !== undefined || this.#giveUp !== undefined;
    // One of an older epoch does not know yet that it is deposed.
    if (isBusy && leader && leader.epoch > this.#epoch) this.#disconnect('There is a newer leader.');
    else if (isBusy) return;
    if (leader?.address !== undefined && leader.epoch >= this.#epoch)
      this.#connect(leader.epoch, leader.address);
    else this.#retry();
  }

  #connect(epoch: number, address: string): void {
    this.#epoch = epoch;
    const socket = this.#open(address);
    if (!socket) {
      this.#complain({ address }, 'The address of the leader is none.');
      this.#retry();
      return;
    }
    let stream: Socket | undefined;
    let isOver = false;
    const failed = (why: string): void => {
      if (isOver) return;
      isOver = true;
      this.#giveUp = undefined;
      this.#complain({ address, epoch, why }, 'The leader cannot be reached: it is tried again.');
      this.#retry();
    };
    this.#giveUp = () => {
      isOver = true;
      this.#giveUp = undefined;
      socket.on('error', () => undefined);
      socket.terminate();
    };
    socket.on('error', (error) => failed(error.message));
    socket.on('upgrade', (response: IncomingMessage) => (stream = response.socket));
    socket.on('close', () => failed('closed'));
    socket.on('open', () => {
      isOver = true;
      this.#giveUp = undefined;
      this.#opened(socket, stream!, { address, epoch });
    });
  }

  /** @returns undefined when the address is none */
  #open(address: string): WebSocket | undefined {
    try {
      return new WebSocket(`ws://${address}${CLUSTER_PATH}`, {
        ...socketOptions(this.#limits),
        handshakeTimeout: CONNECT_LIMIT_MS,
        headers: {
          authorization: `Bearer ${this.#options.secret}`,
          [PROTOCOL_HEADER]: String(PROTOCOL),
        },
      });
    } catch (error) {
      if (error instanceof SyntaxError) return undefined;
      throw error;
    }
  }

  #opened(
    socket: WebSocket,
    stream: Socket,
    where: { readonly address: string; readonly epoch: number },
  ): void {
    const { edge, log } = this.#options;
    const link = new RemoteLink<FromEdge, FromLeader>({
      socket,
      stream,
      decode: decodeFromLeader,
      limits: this.#limits,
      clock: this.#clock,
      log,
      ended: (why, detail) => {
        if (this.#link === link) {
          this.#link = undefined;
          this.#address = undefined;
        }
        this.#changed();
        if (why !== 'closed')
          this.#complain({ ...where, why, detail }, 'The connection with the leader has ended.');
        this.#retry();
      },
    });
    this.#link = link;
    this.#address = where.address;
    const receiver = edge.connectTo(link);
    this.#changed();
    link.listen({
      received: (message) => {
        if (message.type === 'welcome') {
          this.#pauseMs = RETRY_MS.first;
          this.#complaint = '';
          log.info(where, 'The gateway is connected with the leader.');
        }
        receiver.received(message);
      },
      closed: () => receiver.closed(),
    });
  }

  /** Attempts that fail for the same reason are logged once. */
  #complain(fields: Complaint, words: string): void {
    const { err, why, detail } = fields;
    const complaint = [words, err === undefined ? '' : describeError(err), why, detail].join();
    if (complaint === this.#complaint) return;
    this.#complaint = complaint;
    this.#options.log.warn(fields, words);
  }
}
