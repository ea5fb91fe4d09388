import {
  type Connection,
  type Core,
  createCore,
  type Delivery,
  type Device,
  type DeviceInfo,
  type EndReason,
  type PublishedStream,
} from '../../../core/index.js';
import { TOKEN_SECRET } from '../../../core/testing/index.js';
import type { Clock, Timer } from '../../../shared/index.js';
import { type FakeClock, silentLog } from '../../../shared/testing/index.js';
import { Ledger } from '../../../usage/ledger.js';
import { Desk, Edge } from '../../index.js';
import type { CallRecord, Crossing } from '../../messages.js';
import { type SimDatabase, SimStore } from './database.js';

/** With the leader's margin an edge is given up after 4 s. */
const EDGE_LEASE_MS = 1_000;
/** Longer than any edge of the simulation is away that comes back. */
const FORGET_MS = 14_000;

/** A device of an edge. */
export class SimDevice implements Device {
  readonly info: DeviceInfo;
  readonly capabilities = { hold: true, takenOver: () => this.#over('taken-over') } as const;
  readonly formats = {};
  readonly participantId: string;
  delivery: Delivery = [];
  streams: readonly PublishedStream[] = [];
  held = false;
  connectedAt = 0;
  connection!: Connection;
  /** Called when it is over. */
  onOver: () => void = () => undefined;
  outcome: 'asked' | 'live' | 'refused' | 'left' | 'taken-over' | EndReason = 'asked';

  constructor(id: string, participantId: string) {
    this.info = { id, kind: 'phone', externalId: `external ${id}`, direction: 'inbound' };
    this.participantId = participantId;
  }

  /** Whether it takes part, or may. */
  get isHere(): boolean {
    return this.outcome === 'asked' || this.outcome === 'live';
  }

  deliver(delivery: Delivery): void {
    this.delivery = delivery;
  }
  watchLevels(): void {
    // Levels are not simulated.
  }
  close(reason: EndReason): void {
    // `left` means otherwise that it has left by itself: so ends a call that another edge was to go on with, and was over.
    this.#over(reason === 'left' ? 'lost' : reason);
  }

  #over(outcome: 'taken-over' | EndReason): void {
    // One that has left may hear that another edge had it by then.
    if (!this.isHere) return;
    this.outcome = outcome;
    this.onOver();
  }
}

/** A clock that stands still while its process is paused. */
class ProcessClock implements Clock {
  readonly #clock: FakeClock;
  readonly #process: { isPaused: boolean; isDead: boolean };

  constructor(clock: FakeClock, process: { isPaused: boolean; isDead: boolean }) {
    this.#clock = clock;
    this.#process = process;
  }

  now(): number {
    return this.#clock.now();
  }
  monotonic(): number {
    return this.#clock.monotonic();
  }
  setTimeout(callback: () => void, ms: number): Timer {
    let timer: Timer;
    const due = (): void => {
      if (this.#process.isDead) return;
      if (this.#process.isPaused) timer = this.#clock.setTimeout(due, 50);
      else callback();
    };
    timer = this.#clock.setTimeout(due, ms);
    return { cancel: () => timer.cancel() };
  }
}

/** A process that believes that it is the leader. */
export class SimLeader {
  readonly epoch: number;
  readonly core: Core;
  readonly desk: Desk;
  readonly store: SimStore;
  isPaused = false;
  isDead = false;
  /** Devices that it has ended, whether or not that got to the disk. */
  readonly ended = new Set<string>();
  /** On the monotonic clock: until then nobody else is the leader. */
  leaseUntil: number;

  /** @param isDead whether all processes of an edge are dead */
  constructor(database: SimDatabase, clock: FakeClock, leaseMs: number, isDead: (edgeId: string) => boolean) {
    database.epoch += 1;
    this.epoch = database.epoch;
    this.leaseUntil = clock.monotonic() + leaseMs;
    this.store = new SimStore(database, this.epoch);
    const own = new ProcessClock(clock, this);
    this.core = createCore({ tokenSecret: TOKEN_SECRET, store: this.store, clock: own, log: silentLog });
    const ledger = new Ledger({ core: this.core, store: this.store, clock: own, retentionMs: 1e12 });
    for (const event of ['connected', 'held', 'resumed', 'left'] as const)
      this.core.on(event, ({ device }) => this.store.tell(`${event} ${device.id}`));
    this.core.on('left', ({ device, reason }) => {
      if (reason !== 'left') this.ended.add(device.id);
    });
    this.core.on('dtmf', ({ device, durationMs }) =>
      this.store.tell(`dtmf ${device.id} ${String(durationMs)}`),
    );
    this.desk = new Desk({
      core: this.core,
      epoch: this.epoch,
      store: this.store,
      calls: this.store,
      edgeLeaseMs: EDGE_LEASE_MS,
      forgetMs: FORGET_MS,
      takesOver: true,
      isOpen: (deviceId) => ledger.isOpen(deviceId),
      isMissing: (participantId) => ledger.isMissing(participantId),
      isDead: (addresses) =>
        Promise.resolve(addresses.length > 0 && addresses.every(({ host }) => isDead(host))),
      isLeading: () => clock.monotonic() < this.leaseUntil,
      clock: own,
      log: silentLog,
    });
    void this.desk.accounted.then(() => {
      if (this.isDead) return;
      for (const { connectionId } of ledger.closeCrashed()) {
        this.ended.add(connectionId);
        this.store.tell(`crashed ${connectionId}`);
      }
    });
  }
}

/** An edge's connection to a leader. */
interface EdgeLink {
  readonly leader: SimLeader;
  readonly isOpen: boolean;
  /** It breaks: what is on its way is lost. */
  cut(): void;
}

/** A gateway, as far as its devices go. */
export class SimEdge {
  readonly id: string;
  edge!: Edge;
  devices: SimDevice[] = [];
  /** All that this process of the edge has had. */
  ofProcess: SimDevice[] = [];
  link: EdgeLink | undefined;
  isPaused = false;
  /** What its media hosts send each other and those of other edges. */
  crossings: readonly Crossing[] = [];
  readonly hosts: readonly [string, string];
  /** It does not run now. */
  isDown = false;
  /** It never comes back. */
  isGone = false;
  /** Its media hosts have died with its process. */
  areHostsDead = false;
  /** Until then its media hosts send to phones, whatever becomes of its process. */
  sendsUntil = 0;
  /** No way leads to a leader. */
  isParted = false;
  /** Has a call of another edge. */
  readonly onTakeOver: (edge: SimEdge, call: CallRecord) => Promise<boolean>;
  /** The records of calls that the leader is to have. */
  readonly records = new Map<string, string>();
  #process = 0;
  readonly #clock: FakeClock;

  constructor(id: string, clock: FakeClock, onTakeOver: SimEdge['onTakeOver']) {
    this.id = id;
    this.onTakeOver = onTakeOver;
    this.#clock = clock;
    this.hosts = [`${id} first`, `${id} second`];
    this.start();
    this.locate();
  }

  /** The media host that a device is on. */
  hostOf({ info: { id } }: SimDevice): string {
    return this.hosts[Number(id.at(-1)) % 2]!;
  }

  /** States where everything is. */
  locate(): void {
    const hosts = this.hosts.map((id) => ({ id, host: this.id, port: 1 }));
    const here = this.devices.filter(({ isHere }) => isHere);
    this.edge.crossings.located({ hosts, placements: here.map((device) => this.#placed(device)) });
  }

  place(device: SimDevice): void {
    this.edge.crossings.placed(this.#placed(device));
  }

  #placed(device: SimDevice) {
    const streamIds = device.streams.map(({ streamId }) => streamId);
    return { deviceId: device.info.id, host: this.hostOf(device), streamIds };
  }

  get process(): number {
    return this.#process;
  }

  saveCall(id: string, document: string): void {
    this.records.set(id, document);
    this.edge.calls.saveCall(id, document);
  }

  /** A device is over: nothing of it is left. */
  forget({ info: { id } }: SimDevice): void {
    this.deleteCall(id);
    this.edge.crossings.removed(id);
  }

  deleteCall(id: string): void {
    this.records.delete(id);
    this.edge.calls.deleteCall(id);
  }

  /** Another process takes the place of the one before; its media hosts go on. @param isRestoring it connects that one's devices by and by */
  start(isRestoring = false): void {
    this.#process += 1;
    this.edge = new Edge({
      edgeId: this.id,
      process: String(this.#process),
      isRestoring,
      leaseMs: EDGE_LEASE_MS,
      address: { host: this.id, port: 1 },
      takesOver: true,
      recognizes: () => true,
      clock: this.#clock,
      log: silentLog,
    });
    this.edge.registerKind('phone');
    this.edge.lease.onGranted((ms) => (this.sendsUntil = this.#clock.monotonic() + ms));
    this.edge.onTakeOver((call) => this.onTakeOver(this, call));
    this.edge.crossings.watch((crossings) => (this.crossings = crossings));
  }
}
