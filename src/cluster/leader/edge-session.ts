import type { Delivery, EndReason } from '../../core/index.js';
import type { Address, CommandName, Commands, FromEdge, FromLeader, Hello, Link } from '../messages.js';
import type { Clock } from '../../shared/index.js';
import { answerTo } from './answers.js';
import { CallSaving } from './call-saving.js';
import { Commanding, unreachable } from './commands.js';
import { Counting } from './counting.js';
import type { EdgeDevice } from './edge-device.js';
import { EdgeDevices, type EdgeDevicesParts, type GivenAway } from './edge-devices.js';
import type { EdgeCallStore, EdgeRecord, LostMark } from './edge-store.js';
import { GivenCalls } from './given-calls.js';
import { presentOf } from './stated-devices.js';
import { Telling, type TellingParts } from './telling.js';

interface SessionParts extends EdgeDevicesParts, TellingParts {
  /** Something of the record changed: saves it with what else is saved now. @returns when it is on disk; undefined: nowhere */
  readonly save: (record: EdgeRecord) => Promise<void> | undefined;
  readonly calls: EdgeCallStore | undefined;
  readonly clock: Clock;
  /** Whether no other leader can have given the edge up. */
  readonly vouches: () => boolean;
  /** A process that was connecting the devices of the one before has connected all of them. */
  readonly completed: () => void;
  /** It stops for good, and has nothing left. */
  readonly left: () => void;
  /** It has connected a call of another edge, or given it up. */
  readonly taken: () => void;
}

/** One edge, as the leader knows it: what of its history is counted, and the connection to it, if there is one. */
export class EdgeSession {
  readonly edgeId: string;
  readonly #parts: SessionParts;
  readonly #devices: EdgeDevices;
  readonly #telling: Telling;
  readonly #counting: Counting;
  readonly #commands = new Commanding();
  readonly #given: GivenCalls;
  #calls: CallSaving;
  #takesOver = false;
  #connectedAt = -Infinity;
  #addresses: readonly Address[];
  /** What the edge has stated so far, while it connects the devices of its process before. */
  #restoring: Set<string> | undefined;

  constructor(edgeId: string, record: EdgeRecord, parts: SessionParts) {
    this.edgeId = edgeId;
    this.#parts = parts;
    this.#addresses = record.addresses ?? [];
    this.#telling = new Telling(parts);
    this.#devices = new EdgeDevices(edgeId, record, parts, this);
    this.#given = new GivenCalls(edgeId, parts.calls);
    this.#counting = new Counting(record, {
      devices: this.#devices,
      rest: () => ({
        closing: this.#devices.closings.toRecord(),
        lost: this.#devices.lost,
        ...(this.#addresses.length > 0 && { addresses: this.#addresses }),
      }),
      save: parts.save,
      isSettled: parts.isSettled,
      tell: (message) => this.tell(message),
    });
    this.#calls = this.#callsOn(undefined);
  }

  get isConnected(): boolean {
    return this.#telling.link !== undefined;
  }

  /** When the edge was certainly connected with this leader, and with none else; on the leader's monotonic clock. */
  get connectedAt(): number {
    return this.isConnected ? this.#connectedAt : -Infinity;
  }

  /** Whether the edge has stated all that it has. */
  get isComplete(): boolean {
    return this.isConnected && !this.#restoring;
  }

  /** It was away for too long, and has not come back since. */
  get isLost(): boolean {
    return this.#devices.lost?.order !== undefined;
  }

  /** Whether calls of other edges may be given to it. */
  get takesOver(): boolean {
    return this.#takesOver && this.isComplete;
  }

  /** Whether it has calls of other edges that it has neither connected nor given up yet. */
  get isTaking(): boolean {
    return !this.#given.isEmpty;
  }

  /** Where its gateway and media hosts listen. */
  get addresses(): readonly Address[] {
    return this.#addresses;
  }

  device(deviceId: string): EdgeDevice | undefined {
    return this.#devices.all.get(deviceId);
  }

  /** Devices that were closed, and the edge has not confirmed. */
  get closing(): number {
    return this.#devices.closings.size;
  }

  get devices(): ReadonlyMap<string, EdgeDevice> {
    return this.#devices.all;
  }

  /** The edge has connected, and states all that it has. */
  greeted(hello: Hello, link: Link<FromLeader>, epoch: number): void {
    const devices = this.#devices;
    const isSame = this.#counting.greeted(hello.process);
    const { counted, acknowledged } = this.#counting;
    this.#telling.connected(link);
    this.#connectedAt = -Infinity;
    this.#calls = this.#callsOn(link);
    this.tell({ type: 'welcome', epoch, acknowledged });
    for (const kind of hello.kinds) this.#parts.core.registerKind(kind);
    const stated = new Map(hello.devices.map((device) => [device.info.id, device]));
    this.#restoring = hello.isComplete ? undefined : new Set(stated.keys());
    for (const device of hello.devices) devices.closeIfLost(device);
    const news = hello.history.filter(({ number }) => number > counted);
    // One that begins anew asks for its calls itself.
    if (hello.isComplete && isSame)
      this.#given.expect(presentOf(hello.devices, news), (id) => devices.isKnown(id));
    if (hello.isComplete) this.#allStated(stated);
    // What this process has was stated; what the one before has left is still to come.
    else devices.lost &&= { at: devices.lost.at };
    devices.recall(hello.devices, news);
    this.#counting.countAll(news, stated);
    for (const [id, device] of [...devices.all]) {
      const state = stated.get(id);
      if (state && !state.hasEnded) devices.goOn(device, state);
      else if ((state || hello.isComplete) && !this.#counting.hasEndOf(id) && !this.#given.has(id))
        devices.gone(device);
    }
    this.#parts.crossings.greeted(this.edgeId, hello.located && devices.ownOf(hello.located));
    this.#takesOver = hello.takesOver;
    this.#listensAt(hello.address, hello.located?.hosts);
    this.#counting.save();
  }

  /** The edge has connected all devices that its process before had left. */
  complete(): void {
    const stated = this.#restoring;
    if (!stated) return;
    this.#restoring = undefined;
    this.#given.expect(stated, (id) => this.#devices.isKnown(id));
    this.#allStated(stated);
    this.#devices.goneBut((id) => stated.has(id) || this.#given.has(id));
    this.#counting.save();
    this.#parts.completed();
  }

  /** A new process takes too long to connect what the one before has left: that is ended, and closed if it comes. */
  overdue(at: number): void {
    const stated = this.#restoring;
    if (!stated) return;
    this.#devices.lost = { at };
    this.#devices.goneBut((id) => stated.has(id));
    this.#counting.save();
  }

  /** The edge was away for too long: its devices are ended. What it states of them later is closed. */
  lose(mark: LostMark): void {
    this.#counting.drop();
    this.#restoring = undefined;
    this.#given.clear();
    this.#devices.lost = mark;
    this.#devices.goneBut(() => false);
    this.#parts.crossings.forget(this.edgeId);
    this.#counting.save();
  }

  /** A call of this edge goes on at another one. */
  giveAway(id: string): GivenAway {
    this.#given.delete(id);
    return this.#devices.giveAway(id);
  }

  /** A call of an edge that is gone is to go on at this one, or to be ended there: {@link tellCalls} tells it. */
  take(id: string, call: GivenAway): void {
    this.#given.add(id);
    this.#devices.take(id, call);
    this.#counting.save();
  }

  /** Tells the edge which calls of others it is to go on with: that they are its own is on disk. */
  tellCalls(): void {
    if (!this.isComplete) return;
    for (const call of this.#given.records()) this.tell({ type: 'takeOver', call });
  }

  /** Ends the connection. */
  stop(): void {
    this.#telling.link?.close();
  }

  /** A connection has ended. @returns whether it was the present one */
  away(link: Link<FromLeader>): boolean {
    if (link !== this.#telling.link) return false;
    this.#telling.disconnected();
    this.#commands.disconnected();
    return true;
  }

  /** All edges have stated what they have, or are not waited for: new devices are taken. */
  settled(): void {
    for (const [id, state] of this.#counting.settled()) {
      const device = this.device(id);
      if (device && state.hasEnded === true) this.#devices.gone(device);
      else device?.takeState(state);
    }
  }

  /** Tells what the devices of the edge are to receive. */
  release(): void {
    for (const device of this.devices.values()) device.release();
    this.tellSettled();
  }

  tellSettled(): void {
    if (this.isComplete) this.tell({ type: 'settled' });
  }

  /** @param link what it came on: on an older one than the present comes nothing that is not stated again */
  received(message: Exclude<FromEdge, Hello>, link: Link<FromLeader>): void {
    if (link !== this.#telling.link) return;
    switch (message.type) {
      case 'history': {
        const { event } = message.entry;
        if (event.type === 'connect') this.#connecting(event.device.info.id);
        this.#counting.count(message.entry);
        return;
      }
      case 'state':
        if (!this.#counting.change(message.deviceId, message.change))
          this.#devices.changed(message.deviceId, message.change);
        return;
      case 'kind':
        this.#parts.core.registerKind(message.kind);
        return;
      case 'takesNoCalls':
        this.#takesOver = false;
        return;
      case 'leaves':
        if (this.devices.size === 0 && !this.isTaking) this.#parts.left();
        return;
      case 'alive':
        this.#alive(message);
        return;
      case 'located':
      case 'hosts':
      case 'placed':
      case 'removed':
        this.#placed(message);
        return;
      case 'complete':
        this.complete();
        return;
      case 'call':
        this.#calls.take(message, this.#devices.wasGivenAway(message.id));
        if (message.document === null) this.#givenUp(message.id);
        return;
      case 'question':
        void answerTo(message, { ...this.#parts, calls: this.#calls }).then((answer) => {
          if (link === this.#telling.link) this.tell(answer);
        });
        return;
      case 'closed':
        // What it was not told to go on with yet, it has not closed.
        if (this.#given.has(message.deviceId)) return;
        this.#devices.closings.done(message.deviceId, message.last);
        if (this.#devices.closings.forget(this.#counting.counted)) this.#counting.save();
        return;
      case 'done':
        this.#commands.done(message);
        return;
      case 'failed':
        this.#commands.failed(message.id, message.failure);
    }
  }

  tell(message: FromLeader): void {
    this.#telling.tell(message);
  }

  /** Tells what had to wait. @returns whether nothing waits any more */
  tellHeld(): boolean {
    return this.#telling.tellHeld();
  }

  command<K extends CommandName>(command: K, asked: Commands[K]['asked']): Promise<Commands[K]['answer']> {
    if (!this.isConnected) return Promise.reject(unreachable());
    return this.#commands.send(command, asked, (message) => this.tell(message));
  }

  delivered(device: EdgeDevice, delivery: Delivery): void {
    this.#devices.delivered(device, delivery);
  }

  /** The core has closed a device. */
  closed(device: EdgeDevice, reason: EndReason): void {
    this.#devices.closed(device, reason);
    this.#counting.save();
  }

  #placed(message: Extract<FromEdge, { readonly type: 'located' | 'hosts' | 'placed' | 'removed' }>): void {
    const { crossings } = this.#parts;
    switch (message.type) {
      case 'located': {
        const { located } = message;
        this.#listensAt(this.#addresses[0], located.hosts);
        crossings.take(this.edgeId, { type: 'located', located: this.#devices.ownOf(located) });
        this.#counting.save();
        return;
      }
      case 'hosts':
        this.#listensAt(this.#addresses[0], message.hosts);
        crossings.take(this.edgeId, message);
        this.#counting.save();
        return;
      case 'placed':
        if (this.#devices.isOwn(message.placement)) crossings.take(this.edgeId, message);
        return;
      case 'removed':
        crossings.take(this.edgeId, message);
    }
  }

  /**
   * What comes may have been sent long ago, when this process was paused; the stamp that comes back was sent since.
   */
  #alive({ at, stamp }: Extract<FromEdge, { readonly type: 'alive' }>): void {
    const { clock, vouches } = this.#parts;
    const now = clock.monotonic();
    if (stamp !== undefined && stamp <= now) this.#connectedAt = Math.max(this.#connectedAt, stamp);
    // One that is complete has heard which of its calls others have, also of those that it had not connected yet.
    this.#telling.grant(this.isComplete && vouches() ? at : undefined, now);
  }

  /** The edge connects a device, perhaps one of a process before or of another edge. */
  #connecting(id: string): void {
    this.#restoring?.add(id);
    if (this.#given.delete(id)) this.#parts.taken();
  }

  /** The record of a call is deleted: if it was given to the edge, that does not go on with it. */
  #givenUp(id: string): void {
    if (!this.#given.delete(id)) return;
    this.#devices.givenUp(id);
    this.#counting.save();
    this.#parts.taken();
  }

  /** @param hosts undefined: as before */
  #listensAt(gateway: Address | undefined, hosts: readonly Address[] | undefined): void {
    const own = gateway ? [{ host: gateway.host, port: gateway.port }] : [];
    const others = hosts?.map(({ host, port }) => ({ host, port })) ?? this.#addresses.slice(1);
    this.#addresses = [...own, ...others];
  }

  /** The edge has these devices, and no others. */
  #allStated(stated: { has(deviceId: string): boolean }): void {
    this.#devices.closings.retain({ has: (id) => stated.has(id) || this.#given.has(id) });
    this.#devices.lost = undefined;
  }

  #callsOn(link: Link<FromLeader> | undefined): CallSaving {
    return new CallSaving(this.edgeId, this.#parts.calls, (message) => {
      if (link === this.#telling.link) this.tell(message);
    });
  }
}
