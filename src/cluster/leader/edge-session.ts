import type { Delivery, EndReason } from '../../core/index.js';
import { BoundedMap } from '../../shared/index.js';
import { failureOf } from '../failures.js';
import type {
  Address,
  CloseReason,
  Command,
  FromEdge,
  FromLeader,
  Hello,
  HistoryEntry,
  HistoryEvent,
  Link,
  Located,
  Placement,
  StatedDevice,
} from '../messages.js';
import { type AdmissionParts, Admissions } from './admissions.js';
import type { EdgeDevice } from './edge-device.js';
import { answerTo } from './answers.js';
import { CallSaving } from './call-saving.js';
import { Closings } from './closings.js';
import { Commands, unreachable } from './commands.js';
import type { CrossingPlan } from './crossing-plan.js';
import type { EdgeCallStore, EdgeRecord, LostMark } from './edge-store.js';
import { wasLost } from './orders.js';
import { stateBefore } from './stated-devices.js';
import { type KnownDevices, WaitingHistory } from './waiting-history.js';

/** Ended devices of an edge whose last measurement may still come. */
const MAX_ENDED = 5_000;
const NONE: KnownDevices = new Map();
/** Messages to an edge that wait until it is sure that nobody else leads. */
const MAX_HELD = 10_000;
/** They let nobody in, and are waited for. */
const UNHELD: readonly FromLeader['type'][] = ['answer', 'failed', 'refused'];

interface SessionParts extends AdmissionParts {
  readonly crossings: CrossingPlan;
  /** Whether nobody else can be the leader now. */
  readonly isLeading: () => boolean;
  /** Messages wait until that is so again: {@link EdgeSession.tellHeld} is to be called. */
  readonly heldBack: () => void;
  /** Something of the record changed: saves it with what else is saved now. @returns when it is on disk; undefined: nowhere */
  readonly save: (record: EdgeRecord) => Promise<void> | undefined;
  readonly calls: EdgeCallStore | undefined;
  /** Whether no other leader can have given the edge up. */
  readonly vouches: () => boolean;
  /** Whether a device's connection goes on, or may do so, as far as is written down. */
  readonly isOpen: (deviceId: string) => boolean;
  /** A process that was connecting the devices of the one before has connected all of them. */
  readonly completed: () => void;
  /** It stops for good, and has nothing left. */
  readonly left: () => void;
  /** It has connected a call of another edge, or given it up. */
  readonly taken: () => void;
}

/** One edge, as the leader knows it: its devices, what of its history is counted, and the connection to it, if there is one. */
export class EdgeSession {
  readonly edgeId: string;
  readonly #parts: SessionParts;
  readonly #devices = new Map<string, EdgeDevice>();
  readonly #ended = new BoundedMap<string, EdgeDevice>(MAX_ENDED);
  readonly #closings: Closings;
  readonly #admissions: Admissions;
  readonly #waiting = new WaitingHistory();
  readonly #commands = new Commands();
  #process: string;
  #counted: number;
  #lost: LostMark | undefined;
  #link: Link<FromLeader> | undefined;
  #calls: CallSaving;
  #takesOver = false;
  #addresses: readonly Address[];
  /** Calls of edges that are gone which this one has neither connected nor given up yet. */
  readonly #taking = new Set<string>();
  /** What the edge has stated so far, while it connects the devices of its process before. */
  #restoring: Set<string> | undefined;
  #held: FromLeader[] = [];
  #isSaving = false;
  #isCounting = false;

  constructor(edgeId: string, record: EdgeRecord, parts: SessionParts) {
    this.edgeId = edgeId;
    this.#parts = parts;
    this.#process = record.process;
    this.#counted = record.counted;
    this.#lost = record.lost;
    this.#addresses = record.addresses ?? [];
    this.#closings = new Closings(record.closing);
    this.#admissions = new Admissions(parts, {
      line: this,
      devices: this.#devices,
      closings: this.#closings,
      drop: (id) => this.#drop(id),
    });
    this.#calls = this.#callsOn(undefined);
  }

  get isConnected(): boolean {
    return this.#link !== undefined;
  }

  /** Whether the edge has stated all that it has. */
  get isComplete(): boolean {
    return this.#link !== undefined && !this.#restoring;
  }

  /** It was away for too long, and has not come back since. */
  get isLost(): boolean {
    return this.#lost?.order !== undefined;
  }

  /** Whether calls of other edges may be given to it. */
  get takesOver(): boolean {
    return this.#takesOver && this.isComplete;
  }

  /** Whether it has calls of other edges that it has neither connected nor given up yet. */
  get isTaking(): boolean {
    return this.#taking.size > 0;
  }

  /** Where its gateway and media hosts listen. */
  get addresses(): readonly Address[] {
    return this.#addresses;
  }

  device(deviceId: string): EdgeDevice | undefined {
    return this.#devices.get(deviceId);
  }

  /** Devices that were closed, and the edge has not confirmed. */
  get closing(): number {
    return this.#closings.size;
  }

  get devices(): ReadonlyMap<string, EdgeDevice> {
    return this.#devices;
  }

  /** The edge has connected, and states all that it has. */
  greeted(hello: Hello, link: Link<FromLeader>, epoch: number): void {
    const isSame = hello.process === this.#process;
    if (!isSame) {
      this.#process = hello.process;
      this.#counted = 0;
    }
    // The edge states again what has not been counted.
    this.#waiting.take();
    this.#link?.close();
    this.#link = link;
    this.#held = [];
    this.#calls = this.#callsOn(link);
    this.tell({ type: 'welcome', epoch, acknowledged: this.#counted });
    for (const kind of hello.kinds) this.#parts.core.registerKind(kind);
    const stated = new Map(hello.devices.map((device) => [device.info.id, device]));
    this.#restoring = hello.isComplete ? undefined : new Set(stated.keys());
    for (const device of hello.devices) this.#closeIfLost(device);
    // One that begins anew asks for its calls itself.
    if (hello.isComplete && isSame) this.#expectCalls(stated);
    if (hello.isComplete) this.#allStated(stated);
    // What this process has was stated; what the one before has left is still to come.
    else this.#lost &&= { at: this.#lost.at };
    const news = hello.history.filter(({ number }) => number > this.#counted);
    this.#recall(hello.devices, news);
    this.#isCounting = true;
    for (const entry of news) this.#count(entry, stated);
    this.#isCounting = false;
    for (const [id, device] of [...this.#devices]) {
      const state = stated.get(id);
      if (state && !state.hasEnded) this.#goOn(device, state);
      else if ((state || hello.isComplete) && !this.#waiting.hasEndOf(id) && !this.#taking.has(id))
        this.#gone(device);
    }
    this.#parts.crossings.greeted(this.edgeId, hello.located && this.#ownOf(hello.located));
    this.#takesOver = hello.takesOver;
    this.#listensAt(hello.address, hello.located?.hosts);
    this.#save();
    this.#tellSettled();
  }

  /** The edge has connected all devices that its process before had left. */
  complete(): void {
    const stated = this.#restoring;
    if (!stated) return;
    this.#restoring = undefined;
    this.#expectCalls(stated);
    this.#allStated(stated);
    for (const [id, device] of [...this.#devices])
      if (!stated.has(id) && !this.#taking.has(id)) this.#gone(device);
    this.#save();
    this.#parts.completed();
    this.#tellSettled();
  }

  /** A new process takes too long to connect what the one before has left: that is ended, and closed if it comes. */
  overdue(at: number): void {
    const stated = this.#restoring;
    if (!stated) return;
    this.#lost = { at };
    for (const [id, device] of [...this.#devices]) if (!stated.has(id)) this.#gone(device);
    this.#save();
  }

  /** The edge was away for too long: its devices are ended. What it states of them later is closed. */
  lose(mark: LostMark): void {
    this.#waiting.take();
    this.#restoring = undefined;
    this.#taking.clear();
    this.#lost = mark;
    for (const device of [...this.#devices.values()]) this.#gone(device);
    this.#parts.crossings.forget(this.edgeId);
    this.#save();
  }

  /** A call of this edge goes on at another one. @returns its device, or why there is none any more */
  giveAway(id: string): {
    readonly device?: EdgeDevice | undefined;
    readonly over?: CloseReason | undefined;
  } {
    const device = this.#devices.get(id);
    // A new leader does not know the devices of edges that are gone.
    const over = this.#closings.reasonOf(id) ?? (device || this.#parts.isOpen(id) ? undefined : 'left');
    this.#drop(id);
    this.#taking.delete(id);
    this.#closings.add(id, 'taken-over');
    return { device, over };
  }

  /** A call of an edge that is gone is to go on at this one, or to be ended there: {@link tellCalls} tells it. */
  take(id: string, { device, over }: ReturnType<EdgeSession['giveAway']>): void {
    this.#taking.add(id);
    if (over !== undefined) {
      this.#closings.add(id, over);
      this.#save();
    }
    if (!device) return;
    this.#devices.set(id, device);
    device.moveTo(this, this.#parts.nextOrder());
  }

  /** Tells the edge which calls of others it is to go on with: that they are its own is on disk. */
  tellCalls(): void {
    if (!this.isTaking || !this.isComplete) return;
    for (const call of this.#parts.calls?.recordsOf(this.edgeId) ?? [])
      if (this.#taking.has(call.id)) this.tell({ type: 'takeOver', call });
  }

  /** Ends the connection. */
  stop(): void {
    this.#link?.close();
  }

  /** A connection has ended. @returns whether it was the present one */
  away(link: Link<FromLeader>): boolean {
    if (link !== this.#link) return false;
    this.#link = undefined;
    this.#held = [];
    this.#commands.fail();
    return true;
  }

  /** All edges have stated what they have. */
  settled(): void {
    const { entries, devices } = this.#waiting.take();
    for (const entry of entries) {
      const { event, number } = entry;
      if (event.type === 'connect' && !devices.has(event.device.info.id)) this.#counted = number;
      else this.#count(entry, devices);
    }
    this.#save();
    for (const [id, state] of devices) {
      const device = this.#devices.get(id);
      if (device && state.hasEnded === true) this.#gone(device);
      else device?.takeState(state);
    }
    for (const device of this.#devices.values()) device.release();
    this.#tellSettled();
  }

  /** @param link what it came on: on an older one than the present comes nothing that is not stated again */
  received(message: Exclude<FromEdge, Hello>, link: Link<FromLeader>): void {
    if (link !== this.#link) return;
    switch (message.type) {
      case 'history': {
        const { event } = message.entry;
        if (event.type === 'connect') this.#connecting(event.device.info.id);
        this.#count(message.entry);
        return;
      }
      case 'state':
        if (!this.#waiting.change(message.deviceId, message.change))
          this.#devices.get(message.deviceId)?.take(message.change);
        return;
      case 'kind':
        this.#parts.core.registerKind(message.kind);
        return;
      case 'takesNoCalls':
        this.#takesOver = false;
        return;
      case 'leaves':
        if (this.#devices.size === 0 && !this.isTaking) this.#parts.left();
        return;
      case 'alive':
        this.#grant(message.at);
        return;
      case 'located':
      case 'hosts':
        this.#listensAt(this.#addresses[0], message.type === 'hosts' ? message.hosts : message.located.hosts);
        this.#save();
        this.#parts.crossings.take(
          this.edgeId,
          message.type === 'hosts' ? message : { ...message, located: this.#ownOf(message.located) },
        );
        return;
      case 'placed':
        if (this.#isOwn(message.placement)) this.#parts.crossings.take(this.edgeId, message);
        return;
      case 'removed':
        this.#parts.crossings.take(this.edgeId, message);
        return;
      case 'complete':
        this.complete();
        return;
      case 'call':
        this.#calls.take(message);
        if (message.document === null) this.#givenUp(message.id);
        return;
      case 'question':
        void answerTo(message, { ...this.#parts, calls: this.#calls }).then((answer) => {
          if (link === this.#link) this.tell(answer);
        });
        return;
      case 'closed':
        // What it was not told to go on with yet, it has not closed.
        if (this.#taking.has(message.deviceId)) return;
        this.#closings.done(message.deviceId, message.last);
        if (this.#closings.forget(this.#counted)) this.#save();
        return;
      case 'done':
        this.#commands.done(message.id, message.failure);
    }
  }

  /**
   * Another gateway may lead when the database is away for long, or this process was: then other gateways' edges are told
   * no change until it is sure that none does. If one does, they never are.
   */
  tell(message: FromLeader): void {
    const link = this.#link;
    if (!link) return;
    if (link.isLocal || this.#parts.isLeading()) {
      this.tellHeld();
      link.send(message);
    } else if (UNHELD.includes(message.type)) link.send(message);
    else if (this.#held.length < MAX_HELD) {
      this.#held.push(message);
      this.#parts.heldBack();
    }
    // All is stated again at the next connection.
    else link.close();
  }

  /** Tells what had to wait. @returns whether nothing waits any more */
  tellHeld(): boolean {
    if (this.#held.length === 0) return true;
    if (!this.#parts.isLeading()) return false;
    for (const message of this.#held.splice(0)) this.#link?.send(message);
    return true;
  }

  command(deviceId: string, command: Command): Promise<void> {
    if (!this.#link) return Promise.reject(unreachable());
    return this.#commands.send(deviceId, command, (message) => this.tell(message));
  }

  delivered({ info: { id } }: EdgeDevice, delivery: Delivery): void {
    const streamIds = delivery.map(({ streamId }) => streamId);
    if (this.#devices.has(id)) this.#parts.crossings.delivered(this.edgeId, id, streamIds);
  }

  /** The core has closed a device: the edge is told until it has done it. */
  closed(device: EdgeDevice, reason: EndReason): void {
    const { id } = device.info;
    this.#drop(id);
    this.#ended.set(id, device);
    this.#closings.add(id, reason);
    this.tell({ type: 'close', deviceId: id, reason });
    this.#save();
  }

  /** Connects stated devices that this leader does not know, but an earlier one had admitted. */
  #recall(devices: Hello['devices'], news: readonly HistoryEntry[]): void {
    const asked = new Set(
      news.flatMap(({ event }) => (event.type === 'connect' ? event.device.info.id : [])),
    );
    // One without an end was closed by the core before: what it did after that is nobody's.
    const left = new Set(news.flatMap(({ event }) => (event.type === 'end' ? event.deviceId : [])));
    for (const stated of devices) {
      const { id } = stated.info;
      const closing = this.#closings.reasonOf(id);
      if (asked.has(id) || this.#devices.has(id)) continue;
      if (closing !== undefined) this.tell({ type: 'close', deviceId: id, reason: closing });
      else if (stated.hasEnded && !left.has(id)) continue;
      else if (!stated.order) this.tell({ type: 'refused', deviceId: id, failure: failureOf(unreachable()) });
      else this.#admissions.connect(stated, { isCarried: true, state: stateBefore(stated, news) });
    }
  }

  #goOn(device: EdgeDevice, stated: StatedDevice): void {
    device.takeState(stated);
    if (!stated.order) this.#admissions.tellAdmitted(device);
    device.tellAll();
  }

  /**
   * Another process of the edge goes on with a device that the core has still. What it publishes is told by itself: until
   * then that is what it was.
   */
  #carriedOver(device: EdgeDevice, { state: { held, signallingLost, formats } }: StatedDevice): void {
    device.connection?.hold(held);
    if (signallingLost) device.connection?.signallingLost();
    else device.connection?.signallingResumed();
    device.take({ part: 'formats', formats });
    this.#admissions.tellAdmitted(device);
    device.tellAll();
  }

  /** Not before the edge has heard which of its calls others have: also of those that it has not connected yet. */
  #grant(at: number): void {
    const isHeldBack = this.#held.some(
      (message) => message.type === 'close' && message.reason === 'taken-over',
    );
    if (this.isComplete && this.#parts.vouches() && !isHeldBack) this.#link?.send({ type: 'lease', at });
  }

  /** The edge connects a device, perhaps one of a process before or of another edge. */
  #connecting(id: string): void {
    this.#restoring?.add(id);
    if (this.#taking.delete(id)) this.#parts.taken();
  }

  /** The edge does not go on with a call that was given to it. */
  #givenUp(id: string): void {
    if (!this.#taking.delete(id)) return;
    this.#closings.drop(id);
    const device = this.#devices.get(id);
    if (device) this.#gone(device);
    this.#save();
    this.#parts.taken();
  }

  /** Calls that are its own and that it does not state were given to it, by this leader or the one before. */
  #expectCalls(stated: { has(deviceId: string): boolean }): void {
    for (const id of this.#taking) if (stated.has(id)) this.#taking.delete(id);
    for (const { id } of this.#parts.calls?.recordsOf(this.edgeId) ?? []) {
      // What neither goes on nor is to be closed is over.
      const isGiven =
        this.#devices.has(id) || this.#parts.isOpen(id) || this.#closings.reasonOf(id) !== undefined;
      if (isGiven && !stated.has(id)) this.#taking.add(id);
    }
  }

  /** Without what another edge has by now: the same streams are there. */
  #ownOf({ hosts, placements }: Located): Located {
    return { hosts, placements: placements.filter((placement) => this.#isOwn(placement)) };
  }

  #isOwn({ deviceId }: Placement): boolean {
    return this.#closings.reasonOf(deviceId) !== 'taken-over';
  }

  /** @param hosts undefined: as before */
  #listensAt(gateway: Address | undefined, hosts: readonly Address[] | undefined): void {
    const own = gateway ? [{ host: gateway.host, port: gateway.port }] : [];
    const others = hosts?.map(({ host, port }) => ({ host, port })) ?? this.#addresses.slice(1);
    this.#addresses = [...own, ...others];
  }

  /** A device that was ended while the edge was away is closed there, too. */
  #closeIfLost(stated: StatedDevice): void {
    const { id } = stated.info;
    if (this.#devices.has(id) || this.#closings.reasonOf(id) !== undefined) return;
    if (wasLost(stated, this.#lost)) this.#closings.add(id, 'crashed');
  }

  /** The edge has these devices, and no others. */
  #allStated(stated: { has(deviceId: string): boolean }): void {
    this.#closings.retain({ has: (id) => stated.has(id) || this.#taking.has(id) });
    this.#lost = undefined;
  }

  #tellSettled(): void {
    if (this.isComplete && this.#parts.isSettled()) this.tell({ type: 'settled' });
  }

  #callsOn(link: Link<FromLeader> | undefined): CallSaving {
    return new CallSaving(this.edgeId, this.#parts.calls, (message) => {
      if (link === this.#link) this.tell(message);
    });
  }

  /** The edge does not have the device any more, and has not said why. */
  #gone(device: EdgeDevice): void {
    this.#drop(device.info.id);
    device.connection?.end('crashed');
  }

  /** Nothing goes to a device any more that the core does not have. */
  #drop(id: string): void {
    this.#devices.delete(id);
    this.#parts.crossings.delivered(this.edgeId, id, []);
  }

  #count(entry: HistoryEntry, known: KnownDevices = NONE): void {
    if (entry.number <= this.#counted) return;
    if (!this.#waiting.isEmpty || this.#isNewTooEarly(entry, known)) {
      this.#waiting.add(entry, known);
      return;
    }
    this.#counted = entry.number;
    this.#closings.forget(entry.number);
    this.#happened(entry.event, known);
    this.#save();
  }

  /** Whether it is a new device, and other edges may still state a device of its participant that was there before. */
  #isNewTooEarly({ event }: HistoryEntry, known: KnownDevices = NONE): boolean {
    if (event.type !== 'connect' || event.device.isCarried || this.#parts.isSettled()) return false;
    return known.get(event.device.info.id)?.order === undefined;
  }

  #happened(event: HistoryEvent, known: KnownDevices = NONE): void {
    switch (event.type) {
      case 'connect': {
        const { device } = event;
        const { id } = device.info;
        this.#closeIfLost({ ...device, order: known.get(id)?.order });
        const closing = this.#closings.reasonOf(id);
        const order = known.get(id)?.order;
        const present = this.#devices.get(id);
        if (closing !== undefined) this.tell({ type: 'close', deviceId: id, reason: closing });
        else if (present) this.#carriedOver(present, device);
        else
          this.#admissions.connect(
            { ...device, order },
            { isCarried: device.isCarried, state: device.state },
          );
        return;
      }
      case 'dtmf':
        this.#connectionOf(event)?.dtmf(event.digit, event.durationMs);
        return;
      case 'hold':
        this.#connectionOf(event)?.hold(event.held);
        return;
      case 'signalling':
        if (event.lost) this.#connectionOf(event)?.signallingLost();
        else this.#connectionOf(event)?.signallingResumed();
        return;
      case 'end': {
        const device = this.#devices.get(event.deviceId);
        if (!device) return;
        this.#drop(event.deviceId);
        this.#ended.set(event.deviceId, device);
        device.connection?.end(event.reason);
        return;
      }
      case 'measured':
        this.#ended.get(event.deviceId)?.connection?.measured(event.quality);
        return;
      case 'callFailed':
        this.#parts.core.callFailed(event.participantId, event.call);
    }
  }

  #connectionOf({ deviceId }: { readonly deviceId: string }) {
    return this.#devices.get(deviceId)?.connection;
  }

  /** Saves what is counted, together with what it caused, and acknowledges it once that is on disk. */
  #save(): void {
    if (this.#isCounting) return;
    const record = {
      process: this.#process,
      counted: this.#counted,
      closing: this.#closings.toRecord(),
      lost: this.#lost,
      ...(this.#addresses.length > 0 && { addresses: this.#addresses }),
    };
    const saved = this.#parts.save(record);
    if (!saved) {
      this.tell({ type: 'acknowledged', number: this.#counted });
      return;
    }
    if (this.#isSaving) return;
    this.#isSaving = true;
    saved.then(
      () => this.#saved(record),
      // The store tries again by itself; what is counted next is acknowledged together with this.
      () => (this.#isSaving = false),
    );
  }

  #saved({ process, counted }: EdgeRecord): void {
    this.#isSaving = false;
    // Another process of the edge may have connected meanwhile: its history has numbers of its own.
    const isSame = process === this.#process;
    if (isSame) this.tell({ type: 'acknowledged', number: counted });
    if (!isSame || this.#counted > counted) this.#save();
  }
}
