import { type Core, type Delivery, type EndReason, PatchbayError } from '../../core/index.js';
import { BoundedMap, type Log } from '../../shared/index.js';
import { failureOf } from '../failures.js';
import type {
  Command,
  DeviceState,
  FromEdge,
  FromLeader,
  Hello,
  HistoryEntry,
  HistoryEvent,
  Link,
  Order,
  Question,
  StatedDevice,
} from '../messages.js';
import { EdgeDevice } from './edge-device.js';
import { answerTo } from './answers.js';
import { Closings } from './closings.js';
import { Commands, unreachable } from './commands.js';
import type { CrossingPlan } from './crossing-plan.js';
import type { EdgeRecord } from './edge-store.js';
import { stateBefore, wasAdmitted } from './stated-devices.js';
import { type KnownDevices, WaitingHistory } from './waiting-history.js';

/** Ended devices of an edge whose last measurement may still come. */
const MAX_ENDED = 5_000;
const NONE: KnownDevices = new Map();

interface SessionParts {
  readonly core: Core;
  readonly log: Log;
  /** Of the next admission. */
  readonly nextOrder: () => Order;
  /** By the id of a device that is connected now, at any edge. */
  readonly orderOf: (deviceId: string) => Order | undefined;
  /** Deliveries are held back while edges have not stated what they have. */
  readonly isSettled: () => boolean;
  readonly crossings: CrossingPlan;
  /** Whether nobody else can be the leader now. */
  readonly isLeading: () => boolean;
  /** Something of the record changed: saves it with what else is saved now. @returns when it is on disk; undefined: nowhere */
  readonly save: (record: EdgeRecord) => Promise<void> | undefined;
}

/** One edge, as the leader knows it: its devices, what of its history is counted, and the connection to it, if there is one. */
export class EdgeSession {
  readonly edgeId: string;
  readonly #parts: SessionParts;
  readonly #devices = new Map<string, EdgeDevice>();
  readonly #ended = new BoundedMap<string, EdgeDevice>(MAX_ENDED);
  readonly #closings: Closings;
  readonly #waiting = new WaitingHistory();
  readonly #commands = new Commands();
  #process: string;
  #counted: number;
  #link: Link<FromLeader> | undefined;
  #isSaving = false;
  #isCounting = false;

  constructor(edgeId: string, record: EdgeRecord | undefined, parts: SessionParts) {
    this.edgeId = edgeId;
    this.#parts = parts;
    this.#process = record?.process ?? '';
    this.#counted = record?.counted ?? 0;
    this.#closings = new Closings(record?.closing ?? {});
  }

  get isConnected(): boolean {
    return this.#link !== undefined;
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
    if (hello.process !== this.#process) {
      this.#process = hello.process;
      this.#counted = 0;
    }
    // The edge states again what has not been counted.
    this.#waiting.take();
    this.#link?.close();
    this.#link = link;
    this.tell({ type: 'welcome', epoch, acknowledged: this.#counted });
    for (const kind of hello.kinds) this.#parts.core.registerKind(kind);
    const stated = new Map(hello.devices.map((device) => [device.info.id, device]));
    this.#closings.retain(stated);
    const news = hello.history.filter(({ number }) => number > this.#counted);
    this.#recall(hello.devices, news);
    this.#isCounting = true;
    for (const entry of news) this.#count(entry, stated);
    this.#isCounting = false;
    for (const [id, device] of [...this.#devices]) {
      const state = stated.get(id);
      if (state && !state.hasEnded) this.#goOn(device, state);
      else if (!this.#waiting.hasEndOf(id)) this.#gone(device);
    }
    this.#parts.crossings.greeted(this.edgeId, hello.located);
    this.#save();
  }

  /** The connection has ended. */
  away(link: Link<FromLeader>): void {
    if (link !== this.#link) return;
    this.#link = undefined;
    this.#commands.fail();
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
  }

  /** @param link what it came on: on an older one than the present comes nothing that is not stated again */
  received(message: Exclude<FromEdge, Hello>, link: Link<FromLeader>): void {
    if (link !== this.#link) return;
    switch (message.type) {
      case 'history':
        this.#count(message.entry);
        return;
      case 'state':
        if (!this.#waiting.change(message.deviceId, message.change))
          this.#devices.get(message.deviceId)?.take(message.change);
        return;
      case 'kind':
        this.#parts.core.registerKind(message.kind);
        return;
      case 'located':
      case 'hosts':
      case 'placed':
      case 'removed':
        this.#parts.crossings.take(this.edgeId, message);
        return;
      case 'question':
        void this.#answer(message);
        return;
      case 'closed':
        this.#closings.done(message.deviceId, message.last);
        if (this.#closings.forget(this.#counted)) this.#save();
        return;
      case 'done':
        this.#commands.done(message.id, message.failure);
    }
  }

  tell(message: FromLeader): void {
    // A process that was paused for long wakes up here as somebody who was deposed meanwhile.
    if (this.#parts.isLeading()) this.#link?.send(message);
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
      else this.#connect(stated, { isCarried: true, state: stateBefore(stated, news) });
    }
  }

  #goOn(device: EdgeDevice, stated: StatedDevice): void {
    device.takeState(stated);
    if (!stated.order) this.#tellAdmitted(device);
    device.tellAll();
  }

  /** Another process of the edge goes on with a device that the core has still. */
  #carriedOver(device: EdgeDevice, { state: { held, signallingLost } }: StatedDevice): void {
    device.connection?.hold(held);
    if (signallingLost) device.connection?.signallingLost();
    else device.connection?.signallingResumed();
    this.#tellAdmitted(device);
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
        const closing = this.#closings.reasonOf(id);
        const order = known.get(id)?.order;
        const present = this.#devices.get(id);
        if (closing !== undefined) this.tell({ type: 'close', deviceId: id, reason: closing });
        else if (present) this.#carriedOver(present, device);
        else this.#connect({ ...device, order }, { isCarried: device.isCarried, state: device.state });
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

  /**
   * Connects a device to the core, or tells the edge why not.
   * @param isCarried the core, or the core before it, has had the device already: applications are not told again
   */
  #connect(
    stated: StatedDevice,
    { isCarried, state }: { readonly isCarried: boolean; readonly state: DeviceState },
  ): void {
    const { core, log, isSettled, nextOrder } = this.#parts;
    const { id } = stated.info;
    const isKnown = isCarried || wasAdmitted(stated);
    const device = new EdgeDevice(stated, this, !isSettled());
    // Before the core has it: the core may close it at once.
    this.#devices.set(id, device);
    try {
      if (isKnown && this.#isOutdone(stated))
        throw new PatchbayError('PATCHBAY_ALREADY_CONNECTED', 'A later device has its place.');
      const replace = isKnown ? true : stated.replace;
      device.connect(core, { ...stated, replace, state }, isCarried);
      device.order ??= nextOrder();
      this.#tellAdmitted(device);
    } catch (error) {
      this.#drop(id);
      if (!(error instanceof PatchbayError)) log.error({ err: error }, 'A device could not be connected.');
      if (isKnown) this.#turnedAway(id, error);
      else this.tell({ type: 'refused', deviceId: id, failure: failureOf(error) });
    }
  }

  /** A device that was admitted before cannot go on. */
  #turnedAway(id: string, error: unknown): void {
    const reason = REASONS.get(error instanceof PatchbayError ? error.code : '') ?? 'lost';
    this.#closings.add(id, reason);
    this.tell({ type: 'close', deviceId: id, reason });
  }

  /** Whether the participant has a device that was admitted later. */
  #isOutdone({ participantId, order }: StatedDevice): boolean {
    const present = this.#parts.core.connectedDevice(participantId);
    if (!present) return false;
    const presentOrder = this.#parts.orderOf(present.id);
    if (!order || !presentOrder) return true;
    return order[0] < presentOrder[0] || (order[0] === presentOrder[0] && order[1] < presentOrder[1]);
  }

  #tellAdmitted(device: EdgeDevice): void {
    const { order, connection, info } = device;
    if (!order || !connection) return;
    const { participant } = connection;
    this.tell({ type: 'admitted', deviceId: info.id, order, participant });
  }

  async #answer({ id, ...question }: { readonly id: number } & Question): Promise<void> {
    const link = this.#link;
    const tell = (message: FromLeader): void => {
      if (link === this.#link) this.tell(message);
    };
    try {
      tell({ type: 'answer', id, ...(await answerTo(question, this.#parts.core)) });
    } catch (error) {
      if (!(error instanceof PatchbayError))
        this.#parts.log.error(
          { err: error, question: question.question },
          'A question could not be answered.',
        );
      tell({ type: 'failed', id, failure: failureOf(error) });
    }
  }

  /** Saves what is counted, together with what it caused, and acknowledges it once that is on disk. */
  #save(): void {
    if (this.#isCounting) return;
    const record = {
      process: this.#process,
      counted: this.#counted,
      closing: this.#closings.toRecord(),
    };
    const saved = this.#parts.save(record);
    if (!saved) {
      this.tell({ type: 'acknowledged', number: this.#counted });
      return;
    }
    if (this.#isSaving) return;
    this.#isSaving = true;
    const { counted } = record;
    saved.then(
      () => this.#saved(counted),
      // The store tries again by itself; what is counted next is acknowledged together with this.
      () => (this.#isSaving = false),
    );
  }

  #saved(counted: number): void {
    this.#isSaving = false;
    this.tell({ type: 'acknowledged', number: counted });
    if (this.#counted > counted) this.#save();
  }
}

const REASONS: ReadonlyMap<string, EndReason> = new Map([
  ['PATCHBAY_PARTICIPANT_NOT_FOUND', 'participant-deleted'],
  ['PATCHBAY_ALREADY_CONNECTED', 'replaced'],
  ['PATCHBAY_SHUTTING_DOWN', 'shutdown'],
]);
