import { type Core, type EndReason, PatchbayError } from '../../core/index.js';
import type { Log } from '../../shared/index.js';
import { failureOf } from '../failures.js';
import type { DeviceState, Order, StatedDevice } from '../messages.js';
import type { Closings } from './closings.js';
import { EdgeDevice, type EdgeLine } from './edge-device.js';
import { type AdmittedAt, isAdmittedLater } from './orders.js';
import { wasAdmitted } from './stated-devices.js';

export interface AdmissionParts {
  readonly core: Core;
  readonly log: Log;
  /** Of the next admission. */
  readonly nextOrder: () => Order;
  /** By the id of a device that is connected now, at any edge. */
  readonly admittedAt: (deviceId: string) => AdmittedAt | undefined;
  /** Whether other edges have stated what they have, or are not waited for: new devices are taken. */
  readonly isSettled: () => boolean;
  /** What the edge's devices are to receive is not told yet. */
  readonly isHeldBack: () => boolean;
  /** Whom a participant hears whose device of the leader before may still come. */
  readonly missingFor: (participantId: string) => readonly string[];
}

/** What it changes of an edge. */
interface Admitting {
  readonly line: EdgeLine;
  readonly devices: Map<string, EdgeDevice>;
  readonly closings: Closings;
  /** The core does not have a device. */
  readonly drop: (deviceId: string) => void;
}

const REASONS: ReadonlyMap<string, EndReason> = new Map([
  ['PATCHBAY_PARTICIPANT_NOT_FOUND', 'participant-deleted'],
  ['PATCHBAY_ALREADY_CONNECTED', 'replaced'],
  ['PATCHBAY_SHUTTING_DOWN', 'shutdown'],
]);

/** Connects the devices of one edge to the core, in the one order of admissions over all edges. */
export class Admissions {
  readonly #parts: AdmissionParts;
  readonly #edge: Admitting;

  constructor(parts: AdmissionParts, edge: Admitting) {
    this.#parts = parts;
    this.#edge = edge;
  }

  /**
   * Connects a device to the core, or tells the edge why not.
   * @param isCarried the core, or the core before it, has had the device already: applications are not told again
   */
  connect(
    stated: StatedDevice,
    { isCarried, state }: { readonly isCarried: boolean; readonly state: DeviceState },
  ): void {
    const { core, log, isHeldBack, missingFor, nextOrder } = this.#parts;
    const { line, devices } = this.#edge;
    const { id } = stated.info;
    const isKnown = isCarried || wasAdmitted(stated);
    const device = new EdgeDevice(stated, line, { isHeldBack: isHeldBack(), missingFor });
    // Before the core has it: the core may close it at once.
    devices.set(id, device);
    try {
      if (isKnown && this.#isOutdone(stated))
        throw new PatchbayError('PATCHBAY_ALREADY_CONNECTED', 'A later device has its place.');
      const replace = isKnown ? true : stated.replace;
      device.connect(core, { ...stated, replace, state }, isCarried);
      device.admit(nextOrder, !isKnown);
      this.tellAdmitted(device);
    } catch (error) {
      this.#edge.drop(id);
      if (!(error instanceof PatchbayError)) log.error({ err: error }, 'A device could not be connected.');
      if (isKnown) this.#turnedAway(id, error);
      else line.tell({ type: 'refused', deviceId: id, failure: failureOf(error) });
    }
  }

  tellAdmitted({ order, connection, info }: EdgeDevice): void {
    if (!order || !connection) return;
    const { participant } = connection;
    this.#edge.line.tell({ type: 'admitted', deviceId: info.id, order, participant });
  }

  /** A device that was admitted before cannot go on. */
  #turnedAway(id: string, error: unknown): void {
    const reason = REASONS.get(error instanceof PatchbayError ? error.code : '') ?? 'lost';
    this.#edge.closings.add(id, reason);
    this.#edge.line.tell({ type: 'close', deviceId: id, reason });
  }

  /** Whether the participant has a device that was admitted later. */
  #isOutdone(stated: StatedDevice): boolean {
    const present = this.#parts.core.connectedDevice(stated.participantId);
    if (!present) return false;
    const admittedAt = this.#parts.admittedAt(present.id);
    return !admittedAt || isAdmittedLater(admittedAt, stated);
  }
}
