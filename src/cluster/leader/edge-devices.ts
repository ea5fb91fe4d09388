import type { Connection, Delivery, EndReason } from '../../core/index.js';
import { BoundedMap } from '../../shared/index.js';
import { failureOf } from '../failures.js';
import type {
  CloseReason,
  FromLeader,
  Hello,
  HistoryEntry,
  HistoryEvent,
  Located,
  Placement,
  StateChange,
  StatedDevice,
} from '../messages.js';
import { type AdmissionParts, Admissions } from './admissions.js';
import { Closings } from './closings.js';
import { unreachable } from './commands.js';
import type { CrossingPlan } from './crossing-plan.js';
import type { EdgeDevice, EdgeLine } from './edge-device.js';
import type { EdgeRecord, LostMark } from './edge-store.js';
import { wasLost } from './orders.js';
import { endedIn, stateBefore, wasAdmitted } from './stated-devices.js';
import type { KnownDevices } from './waiting-history.js';

/** Ended devices of an edge whose last measurement may still come. */
const MAX_ENDED = 5_000;

export interface EdgeDevicesParts extends AdmissionParts {
  readonly crossings: CrossingPlan;
  /** Whether a device's connection goes on, or may do so, as far as is written down. */
  readonly isOpen: (deviceId: string) => boolean;
}

/** A call that goes on at another edge: its device, or why there is none any more. */
export interface GivenAway {
  readonly device?: EdgeDevice | undefined;
  readonly over?: CloseReason | undefined;
}

/** The devices of one edge, as the leader has them in the core, and those that the edge is to close. */
export class EdgeDevices {
  readonly closings: Closings;
  /** Devices of it were ended without its knowledge. */
  lost: LostMark | undefined;
  readonly #edgeId: string;
  readonly #parts: EdgeDevicesParts;
  readonly #line: EdgeLine;
  readonly #devices = new Map<string, EdgeDevice>();
  readonly #ended = new BoundedMap<string, EdgeDevice>(MAX_ENDED);
  readonly #admissions: Admissions;

  constructor(edgeId: string, record: EdgeRecord, parts: EdgeDevicesParts, line: EdgeLine) {
    this.#edgeId = edgeId;
    this.#parts = parts;
    this.#line = line;
    this.lost = record.lost;
    this.closings = new Closings(record.closing);
    this.#admissions = new Admissions(parts, {
      line,
      devices: this.#devices,
      closings: this.closings,
      drop: (id) => this.#drop(id),
    });
  }

  get all(): ReadonlyMap<string, EdgeDevice> {
    return this.#devices;
  }

  /** Whether the device of a call goes on, or is to be closed. */
  isKnown(id: string): boolean {
    return this.#devices.has(id) || this.#parts.isOpen(id) || this.closings.reasonOf(id) !== undefined;
  }

  changed(deviceId: string, change: StateChange): void {
    this.#devices.get(deviceId)?.take(change);
  }

  /** Connects stated devices that this leader does not know, but an earlier one had admitted. */
  recall(devices: Hello['devices'], news: readonly HistoryEntry[]): void {
    const asked = new Set(
      news.flatMap(({ event }) => (event.type === 'connect' ? event.device.info.id : [])),
    );
    // One without an end was closed by the core before: what it did after that is nobody's.
    const left = endedIn(news);
    for (const stated of devices) {
      const { id } = stated.info;
      const closing = this.closings.reasonOf(id);
      if (asked.has(id) || this.#devices.has(id)) continue;
      if (closing !== undefined) this.#tell({ type: 'close', deviceId: id, reason: closing });
      else if (stated.hasEnded && !left.has(id)) continue;
      else if (!stated.order)
        this.#tell({ type: 'refused', deviceId: id, failure: failureOf(unreachable()) });
      else this.#admissions.connect(stated, { isCarried: true, state: stateBefore(stated, news) });
    }
  }

  /** The edge has a device still, and has said how it is. */
  goOn(device: EdgeDevice, stated: StatedDevice): void {
    device.takeState(stated);
    if (!stated.order) this.#admissions.tellAdmitted(device);
    device.tellAll();
  }

  /** A device that was ended while the edge was away is closed there, too. */
  closeIfLost(stated: StatedDevice): void {
    const { id } = stated.info;
    if (this.#devices.has(id) || this.closings.reasonOf(id) !== undefined) return;
    if (wasLost(stated, this.lost)) this.closings.add(id, 'crashed');
  }

  /** The edge does not have the device any more, and has not said why. */
  gone(device: EdgeDevice): void {
    this.#drop(device.info.id);
    device.connection?.end('crashed');
  }

  /** All but some are gone. */
  goneBut(stays: (id: string) => boolean): void {
    for (const [id, device] of [...this.#devices]) if (!stays(id)) this.gone(device);
  }

  /** The core has closed a device: the edge is told until it has done it. */
  closed(device: EdgeDevice, reason: EndReason): void {
    const { id } = device.info;
    this.#drop(id);
    this.#ended.set(id, device);
    this.closings.add(id, reason);
    this.#tell({ type: 'close', deviceId: id, reason });
  }

  delivered({ info: { id } }: EdgeDevice, delivery: Delivery): void {
    const streamIds = delivery.map(({ streamId }) => streamId);
    if (this.#devices.has(id)) this.#parts.crossings.delivered(this.#edgeId, id, streamIds);
  }

  /** A call goes on at another edge: this one is to end it without a word. */
  giveAway(id: string): GivenAway {
    const device = this.#devices.get(id);
    // A new leader does not know the devices of edges that are gone.
    const over = this.closings.reasonOf(id) ?? (device || this.#parts.isOpen(id) ? undefined : 'left');
    this.#drop(id);
    this.closings.add(id, 'taken-over');
    return { device, over };
  }

  /** A call of another edge goes on at this one, or is to be closed there. */
  take(id: string, { device, over }: GivenAway): void {
    // It has been told that another one has it, which is over: it has it again.
    if (this.wasGivenAway(id)) this.closings.drop(id);
    if (over !== undefined) this.closings.add(id, over);
    if (!device) return;
    this.#devices.set(id, device);
    device.moveTo(this.#line, this.#parts.nextOrder());
  }

  /** The edge does not go on with a call that was given to it. */
  givenUp(id: string): void {
    this.closings.drop(id);
    const device = this.#devices.get(id);
    if (device) this.gone(device);
  }

  /** Where its devices are, without those that another edge has by now: the same streams are there. */
  ownOf({ hosts, placements }: Located): Located {
    return { hosts, placements: placements.filter((placement) => this.isOwn(placement)) };
  }

  isOwn({ deviceId }: Placement): boolean {
    return !this.wasGivenAway(deviceId);
  }

  /** Whether another edge has a call, and this one has not confirmed that it has it no more. */
  wasGivenAway(id: string): boolean {
    return this.closings.reasonOf(id) === 'taken-over';
  }

  /** Something happened at the edge that is counted once. */
  happened(event: HistoryEvent, known: KnownDevices): void {
    switch (event.type) {
      case 'connect':
        this.#connect(event.device, known);
        return;
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

  #connect(device: StatedDevice, known: KnownDevices): void {
    const { id } = device.info;
    const stated = { ...device, order: known.get(id)?.order };
    this.closeIfLost(stated);
    const closing = this.closings.reasonOf(id);
    const present = this.#devices.get(id);
    if (closing !== undefined) this.#tell({ type: 'close', deviceId: id, reason: closing });
    else if (present) this.#carriedOver(present, device);
    else {
      this.#admissions.connect(stated, device);
      // What it was told by a leader before is over, also when there is nothing to tell it.
      if (wasAdmitted(stated)) this.#devices.get(id)?.tellAll();
    }
  }

  /**
   * Another process of the edge, or another edge, goes on with a device that the core has still. What it publishes is told by
   * itself: until then that is what it was.
   */
  #carriedOver(device: EdgeDevice, { state: { held, signallingLost, formats } }: StatedDevice): void {
    device.connection?.hold(held);
    if (signallingLost) device.connection?.signallingLost();
    else device.connection?.signallingResumed();
    device.take({ part: 'formats', formats });
    this.#admissions.tellAdmitted(device);
    device.tellAll();
  }

  #connectionOf({ deviceId }: { readonly deviceId: string }): Connection | undefined {
    return this.#devices.get(deviceId)?.connection;
  }

  /** Nothing goes to a device any more that the core does not have. */
  #drop(id: string): void {
    this.#devices.delete(id);
    this.#parts.crossings.delivered(this.#edgeId, id, []);
  }

  #tell(message: FromLeader): void {
    this.#line.tell(message);
  }
}
