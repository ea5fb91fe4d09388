import type { Core, CoreEvents } from '../../core/index.js';
import type { Clock, Log, Timer } from '../../shared/index.js';
import type { Address, FromEdge, FromLeader, Hello, Link, LinkListener, Order } from '../messages.js';
import { AbsentEdges } from './absent-edges.js';
import { CallTraces } from './call-traces.js';
import { CrossingPlan } from './crossing-plan.js';
import { EdgeSession } from './edge-session.js';
import type { EdgeCallStore, EdgeRecord, EdgeStore } from './edge-store.js';
import { MissingDevices } from './missing-devices.js';
import { MovingCalls } from './moving-calls.js';
import { Settling } from './settling.js';

const DEFAULT_EDGE_LEASE_MS = 10_000;
/** An edge that is away is given up so long after its lease: it does nothing by then, whatever its clock says. */
const LEASE_MARGIN_MS = 3_000;
/** An edge that was connected so lately has not given up others, as a leader, before their leases are over. */
const VOUCHED_MS = LEASE_MARGIN_MS - 500;
/** How long an edge that was given up is remembered: nothing that it knows matters after that. */
const DEFAULT_FORGET_MS = 3_600_000;
/** When a leader that cannot be sure to lead looks again. */
const AGAIN_MS = 1_000;

/** How often it looks whether it may tell edges what waits. */
const HELD_MS = 200;

/** Messages of an edge that wait while it is written down. */
const MAX_EARLY = 50_000;

interface DeskOptions {
  readonly core: Core;
  /** Of this leader: greater than that of any before. */
  readonly epoch: number;
  /** Absent: no other process goes on with the edges of this one. */
  readonly store?: EdgeStore;
  /** Where records of the edges' calls are kept. Absent: nowhere. */
  readonly calls?: EdgeCallStore;
  /** Whether nobody else can be the leader now. Once it says no, edges are told nothing any more. Default: always. */
  readonly isLeading?: () => boolean;
  /** How long an edge that is cut off goes on by itself, in ms; default 10,000. */
  readonly edgeLeaseMs?: number;
  /** How long an edge that was given up is remembered, in ms; default an hour. */
  readonly forgetMs?: number;
  /** Whether the calls of an edge that is gone go on at others. Default: they end. */
  readonly takesOver?: boolean;
  /** Whether the connection of a device goes on, or may do so. Default: while devices of the leader before may still come. */
  readonly isOpen?: (deviceId: string) => boolean;
  /** Whether a participant has a device of the leader before that may still come. Default: none has. */
  readonly isMissing?: (participantId: string) => boolean;
  /**
   * Whether nobody listens at any of these addresses, though their machines answer: then the processes of an edge are dead.
   * Absent: that cannot be known, and an edge that is away is given up after its lease.
   */
  readonly isDead?: (addresses: readonly Address[]) => Promise<boolean>;
  readonly clock: Clock;
  readonly log: Log;
}

interface KnownEdge {
  readonly id: string;
  readonly isConnected: boolean;
  /** Where its gateway listens for others. */
  readonly address?: Address | undefined;
  /** Since when it is not, in epoch milliseconds; of an edge of the leader before, since this one leads. */
  readonly awaySince?: number;
  readonly devices: number;
  /** Devices that were closed, and the edge has not confirmed. */
  readonly closing: number;
  /** It was away for too long: its devices were ended. */
  readonly isLost: boolean;
}

/** Where the leader serves edges: connects their devices to the core. */
export class Desk {
  /** The signalling of calls, whichever edges have it. */
  readonly traces: CallTraces;
  readonly #options: DeskOptions;
  readonly #sessions = new Map<string, EdgeSession>();
  readonly #settling: Settling;
  readonly #absent: AbsentEdges;
  readonly #missing: MissingDevices;
  readonly #onParticipant: (...args: CoreEvents['participantChanged']) => void;
  readonly #onConnected = ({ participant }: CoreEvents['connected'][0]): void =>
    this.#missing.lookAgain(participant.id);
  readonly #crossings = new CrossingPlan((edgeId, message) => this.#sessions.get(edgeId)?.tell(message));
  readonly #moving: MovingCalls;
  #holding: Timer | undefined;
  #admitted = 0;
  #isStopped = false;

  constructor(options: DeskOptions) {
    const { core, clock } = options;
    this.#options = options;
    this.traces = new CallTraces({ edges: () => this.#sessions.values(), clock, log: options.log });
    this.#moving = new MovingCalls({
      sessions: this.#sessions,
      store: options.calls,
      isWanted: options.takesOver ?? false,
      isStopped: () => this.#isStopped,
      clock,
    });
    this.#absent = new AbsentEdges({
      givenUpMs: this.#leaseMs,
      isDead: options.isDead,
      isWorthwhile: (session) => this.#moving.isPossible(session),
      giveUp: (session) => this.#giveUp(session),
      clock,
      log: options.log,
    });
    this.#settling = new Settling({
      clock,
      isTaking: () => [...this.#sessions.values()].some(({ isTaking }) => isTaking),
      settled: (awaited) => this.#settled(awaited),
      late: (edgeId) => this.#late(edgeId),
    });
    this.#missing = new MissingDevices({
      core,
      settling: this.#settling,
      sessions: this.#sessions,
      sessionOf: (deviceId) => this.#sessionOf(deviceId),
      isMissing: options.isMissing ?? (() => false),
    });
    for (const { id, record } of options.store?.edges() ?? []) this.#remember(id, record);
    this.#settling.check();
    this.#onParticipant = ({ change, participant }) => {
      const device = change === 'updated' ? core.connectedDevice(participant.id) : undefined;
      const session = device && this.#sessionOf(device.id);
      session?.tell({ type: 'participant', deviceId: device!.id, participant });
      this.#missing.lookAgain(participant.id);
    };
    core.on('participantChanged', this.#onParticipant);
    core.on('connected', this.#onConnected);
  }

  /** Resolves when all devices of the leader before are connected again, or lost. */
  get accounted(): Promise<void> {
    return this.#settling.accounted;
  }

  /** The edges that are known, and whether each is connected. */
  edges(): readonly KnownEdge[] {
    return Array.from(this.#sessions.values(), (session) => {
      const { edgeId: id, isConnected, devices, closing, isLost } = session;
      const awaySince = this.#absent.since(id);
      return {
        id,
        isConnected,
        address: session.addresses[0],
        devices: devices.size,
        closing,
        isLost,
        ...(awaySince !== undefined && { awaySince }),
      };
    });
  }

  /** Serves an edge that has connected. @returns what receives its messages, the first of which is its hello */
  accept(link: Link<FromLeader>): LinkListener<FromEdge> {
    let session: EdgeSession | undefined;
    let isClosed = false;
    const take = (message: FromEdge): void => {
      if (message.type !== 'hello') {
        if (session) session.received(message, link);
        else link.close();
      } else if (session || this.#isStopped) link.close();
      else session = this.#greeted(message, link);
    };
    /** What came while the edge is written down. */
    let early: FromEdge[] | undefined;
    const takeEarly = (): void => {
      const messages = early ?? [];
      early = undefined;
      for (const message of messages) if (!isClosed) take(message);
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
        if (session?.away(link) && this.#sessions.get(session.edgeId) === session) this.#absent.left(session);
      },
    };
  }

  /**
   * Gives up leading: closes the connections of all edges, and ends no device of theirs. They go on with the next leader.
   */
  stop(): void {
    if (this.#isStopped) return;
    this.#isStopped = true;
    this.#settling.stop();
    this.#holding?.cancel();
    this.#absent.stop();
    this.#options.core.off('participantChanged', this.#onParticipant);
    this.#options.core.off('connected', this.#onConnected);
    for (const session of this.#sessions.values()) session.stop();
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

  /** An edge of the leader before. */
  #remember(id: string, record: EdgeRecord): void {
    const { clock, forgetMs = DEFAULT_FORGET_MS } = this.#options;
    const session = this.#session(id, record);
    this.#sessions.set(id, session);
    if (record.lost?.order) {
      const leftMs = record.lost.at + forgetMs - clock.now();
      this.#absent.dueIn(id, Math.min(forgetMs, Math.max(0, leftMs)), () => this.#forget(session));
      return;
    }
    this.#settling.awaits(id);
    this.#absent.left(session);
  }

  #greeted(hello: Hello, link: Link<FromLeader>): EdgeSession {
    const { edgeId } = hello;
    const session = this.#sessions.get(edgeId) ?? this.#unknown(edgeId);
    this.#sessions.set(edgeId, session);
    session.greeted(hello, link, this.#options.epoch);
    // Also the end of a connection before this one, which it may not have noticed.
    this.#absent.forget(edgeId);
    this.#moving.tell();
    if (session.isComplete) this.#completed(edgeId);
    // It may hang before it has connected what its process before has left.
    else this.#absent.dueIn(edgeId, this.#leaseMs, () => this.#overdue(session));
    return session;
  }

  /**
   * Every edge is written down before its devices are admitted: if this one has any that were, it was forgotten since, and
   * they were ended long ago.
   */
  #unknown(edgeId: string): EdgeSession {
    const { store, epoch } = this.#options;
    const lost = store && { order: [epoch, this.#admitted] as const, at: 0 };
    return this.#session(edgeId, { process: '', counted: 0, closing: {}, lost });
  }

  #completed(edgeId: string): void {
    this.#absent.nothingDue(edgeId);
    this.#settling.noLongerAwaits(edgeId);
    if (this.#settling.isSettled) this.#sessions.get(edgeId)?.tellSettled();
  }

  #overdue(session: EdgeSession): void {
    const { clock, log } = this.#options;
    log.warn({ edge: session.edgeId }, 'An edge takes too long to go on with its devices: the others end.');
    session.overdue(clock.now());
    this.#completed(session.edgeId);
  }

  #session(edgeId: string, record: EdgeRecord): EdgeSession {
    const { core, store, calls, clock, log } = this.#options;
    return new EdgeSession(edgeId, record, {
      core,
      log,
      clock,
      calls,
      nextOrder: (): Order => [this.#options.epoch, (this.#admitted += 1)],
      admittedAt: (deviceId) => this.#sessionOf(deviceId)?.device(deviceId)?.admittedAt,
      isSettled: () => this.#settling.isSettled,
      isHeldBack: () => !this.#settling.isSettled || this.#settling.isAwaited(edgeId),
      missingFor: (participantId) => this.#missing.heardBy(participantId),
      isLeading: () => this.#isLeading,
      heldBack: () => this.#tellHeldSoon(),
      completed: () => {
        this.#moving.tell();
        this.#completed(edgeId);
      },
      taken: () => this.#taken(),
      left: () => this.#left(edgeId),
      vouches: () => this.#vouches(),
      isOpen: (deviceId) => this.#options.isOpen?.(deviceId) ?? !this.#settling.isAccounted,
      crossings: this.#crossings,
      save: (changed) => {
        // One that has left is not written down again.
        if (!store || !this.#sessions.has(edgeId)) return undefined;
        store.saveEdge(edgeId, changed);
        return store.flush();
      },
    });
  }

  #tellHeldSoon(): void {
    if (this.#isStopped) return;
    this.#holding ??= this.#options.clock.setTimeout(() => {
      this.#holding = undefined;
      for (const session of this.#sessions.values()) if (!session.tellHeld()) this.#tellHeldSoon();
    }, HELD_MS);
  }

  get #isLeading(): boolean {
    return !this.#isStopped && (this.#options.isLeading?.() ?? true);
  }

  get #leaseMs(): number {
    return (this.#options.edgeLeaseMs ?? DEFAULT_EDGE_LEASE_MS) + LEASE_MARGIN_MS;
  }

  #sessionOf(deviceId: string): EdgeSession | undefined {
    for (const session of this.#sessions.values()) if (session.device(deviceId)) return session;
    return undefined;
  }

  /**
   * A leader that cannot be sure to lead, since the database is away, vouches for its edges as long as it has all of them: then
   * none of them led just now, and a leader gives nobody up so soon. Otherwise another one may have given up whoever is connected
   * with this one. After a pause connections that have ended seem to be there still.
   */
  #vouches(): boolean {
    const latest = this.#options.clock.monotonic() - VOUCHED_MS;
    return this.#isLeading || [...this.#sessions.values()].every(({ connectedAt }) => connectedAt > latest);
  }

  #giveUp(session: EdgeSession): void {
    const { edgeId } = session;
    const { clock, log, forgetMs = DEFAULT_FORGET_MS } = this.#options;
    if (this.#isStopped || session.isConnected) return;
    if (!this.#isLeading) {
      // Another one may lead: that is for it to decide.
      this.#absent.dueIn(edgeId, AGAIN_MS, () => this.#giveUp(session));
      return;
    }
    const moved = this.#moving.move(session);
    log.warn(
      { edge: edgeId, calls: moved, devices: session.devices.size },
      'An edge is gone: others go on with its calls, and its other devices end.',
    );
    session.lose({ order: [this.#options.epoch, this.#admitted], at: clock.now() });
    this.#absent.dueIn(edgeId, forgetMs, () => this.#forget(session));
    this.#settling.noLongerAwaits(edgeId);
  }

  /** An edge has stopped: when its connection ends, nobody waits for it. */
  #left(edgeId: string): void {
    const session = this.#sessions.get(edgeId);
    if (session) this.#forget(session);
  }

  #forget(session: EdgeSession): void {
    const { edgeId } = session;
    const { store, calls } = this.#options;
    if (!this.#isLeading) {
      this.#absent.dueIn(edgeId, AGAIN_MS, () => this.#forget(session));
      return;
    }
    this.#absent.forget(edgeId);
    this.#crossings.forget(edgeId);
    this.#sessions.delete(edgeId);
    for (const { id } of calls?.recordsOf(edgeId) ?? []) calls?.deleteCall(id);
    store?.deleteEdge(edgeId);
  }

  #settled(awaited: readonly string[]): void {
    for (const session of this.#sessions.values()) session.settled();
    for (const [edgeId, session] of this.#sessions) if (!this.#settling.isAwaited(edgeId)) session.release();
    this.#crossings.release(awaited);
  }

  /** An edge that all others did without, for a while. */
  #late(edgeId: string): void {
    this.#sessions.get(edgeId)?.release();
    this.#crossings.noLongerAwaits(edgeId);
    this.#missing.lookAgain();
  }

  /** An edge has connected a call that was given to it, or given it up. */
  #taken(): void {
    this.#settling.check();
    this.#missing.lookAgain();
  }
}
