import type { Core } from '../../core/index.js';
import type { Clock, Log, Timer } from '../../shared/index.js';
import type { FromEdge, FromLeader, Hello, Link, LinkListener, Order } from '../messages.js';
import { CrossingPlan } from './crossing-plan.js';
import { EdgeSession } from './edge-session.js';
import type { EdgeRecord, EdgeStore } from './edge-store.js';

/** How long a new leader waits for the edges of the one before, until it lets deliveries go and takes new devices. */
const SETTLE_MS = 3_000;
/** How long until it takes the devices of those that are still missing for lost: an edge may be cut off for a while. */
const ACCOUNT_MS = 13_000;

/** Messages of an edge that wait while it is written down. */
const MAX_EARLY = 50_000;

interface DeskOptions {
  readonly core: Core;
  /** Of this leader: greater than that of any before. */
  readonly epoch: number;
  /** Absent: no other process goes on with the edges of this one. */
  readonly store?: EdgeStore;
  /** Whether nobody else can be the leader now. Once it says no, edges are told nothing any more. Default: always. */
  readonly isLeading?: () => boolean;
  readonly clock: Clock;
  readonly log: Log;
}

interface KnownEdge {
  readonly id: string;
  readonly isConnected: boolean;
  readonly devices: number;
  /** Devices that were closed, and the edge has not confirmed. */
  readonly closing: number;
}

/** Where the leader serves edges: connects their devices to the core. */
export class Desk {
  readonly #options: DeskOptions;
  readonly #sessions = new Map<string, EdgeSession>();
  /** Edges of the leader before that have not connected yet. */
  readonly #awaited = new Set<string>();
  readonly #crossings = new CrossingPlan((edgeId, message) => this.#sessions.get(edgeId)?.tell(message));
  readonly #timers: readonly Timer[];
  #admitted = 0;
  #account!: () => void;
  /**
   * Resolves when all devices of the leader before are connected again, or lost: every edge has stated what it has, or is
   * missing for too long.
   */
  readonly accounted: Promise<void>;
  #isSettled = false;

  constructor(options: DeskOptions) {
    this.#options = options;
    this.accounted = new Promise((resolve) => (this.#account = resolve));
    for (const { id, record } of options.store?.edges() ?? []) {
      this.#sessions.set(id, this.#session(id, record));
      this.#awaited.add(id);
    }
    this.#timers = [
      options.clock.setTimeout(() => this.#settle(), SETTLE_MS),
      options.clock.setTimeout(() => this.#account(), ACCOUNT_MS),
    ];
    this.#checkAwaited();
    options.core.on('participantChanged', ({ change, participant }) => {
      const device = change === 'updated' ? options.core.connectedDevice(participant.id) : undefined;
      const session = device && this.#sessionOf(device.id);
      session?.tell({ type: 'participant', deviceId: device!.id, participant });
    });
  }

  /** The edges that are known, and whether each is connected. */
  edges(): readonly KnownEdge[] {
    return Array.from(this.#sessions.values(), ({ edgeId, isConnected, devices, closing }) => ({
      id: edgeId,
      isConnected,
      devices: devices.size,
      closing,
    }));
  }

  /** Serves an edge that has connected. @returns what receives its messages, the first of which is its hello */
  accept(link: Link<FromLeader>): LinkListener<FromEdge> {
    let session: EdgeSession | undefined;
    let isClosed = false;
    const take = (message: FromEdge): void => {
      if (message.type !== 'hello') {
        if (session) session.received(message, link);
        else link.close();
      } else if (session) link.close();
      else session = this.#greeted(message, link);
    };
    /** What came while the edge is written down. */
    let early: FromEdge[] | undefined;
    const takeEarly = (): void => {
      const messages = early ?? [];
      early = undefined;
      if (!isClosed) for (const message of messages) take(message);
    };
    return {
      received: (message) => {
        if (early) {
          early.push(message);
          // All is stated again at the next connection.
          if (early.length > MAX_EARLY) link.close();
          return;
        }
        const written = message.type === 'hello' ? this.#writeDown(message) : undefined;
        if (!written) {
          take(message);
          return;
        }
        early = [message];
        written.then(takeEarly, () => link.close());
      },
      closed: () => {
        isClosed = true;
        session?.away(link);
      },
    };
  }

  /**
   * An edge that is not known is on disk before any of its devices is connected: the next leader waits for it.
   * @returns when it is; undefined when it is already, or nothing is
   */
  #writeDown({ edgeId, process }: Hello): Promise<void> | undefined {
    const { store } = this.#options;
    if (!store || this.#sessions.has(edgeId)) return undefined;
    store.saveEdge(edgeId, { process, counted: 0, closing: {} });
    return store.flush();
  }

  stop(): void {
    for (const timer of this.#timers) timer.cancel();
  }

  #greeted(hello: Hello, link: Link<FromLeader>): EdgeSession {
    const { edgeId } = hello;
    const session = this.#sessions.get(edgeId) ?? this.#session(edgeId, undefined);
    this.#sessions.set(edgeId, session);
    session.greeted(hello, link, this.#options.epoch);
    this.#awaited.delete(edgeId);
    this.#checkAwaited();
    return session;
  }

  #session(edgeId: string, record: EdgeRecord | undefined): EdgeSession {
    const { core, store, log } = this.#options;
    return new EdgeSession(edgeId, record, {
      core,
      log,
      nextOrder: (): Order => [this.#options.epoch, (this.#admitted += 1)],
      orderOf: (deviceId) => this.#sessionOf(deviceId)?.device(deviceId)?.order,
      isSettled: () => this.#isSettled,
      crossings: this.#crossings,
      isLeading: this.#options.isLeading ?? (() => true),
      save: (changed) => {
        if (!store) return undefined;
        store.saveEdge(edgeId, changed);
        return store.flush();
      },
    });
  }

  #sessionOf(deviceId: string): EdgeSession | undefined {
    for (const session of this.#sessions.values()) if (session.device(deviceId)) return session;
    return undefined;
  }

  #checkAwaited(): void {
    if (this.#awaited.size > 0) return;
    this.stop();
    this.#settle();
    this.#account();
  }

  #settle(): void {
    if (this.#isSettled) return;
    this.#isSettled = true;
    for (const session of this.#sessions.values()) session.settled();
    this.#crossings.release();
  }
}
