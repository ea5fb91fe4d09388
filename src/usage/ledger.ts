import { v7 as uuid } from 'uuid';
import type { Core, DeviceEvent } from '../core/index.js';
import type { Clock, Timer } from '../shared/index.js';
import { LeftConnections } from './left-connections.js';
import type { RecordEnd } from './records.js';
import type { KeptRecord, UsageStore } from './usage-store.js';

/** After a crash, the end of a connection is known to within this time. */
const HEARTBEAT_MS = 15_000;
const DAY_MS = 86_400_000;
/** Most records that wait for their last measurement; one that is dropped keeps the measurement before. */
const MAX_CLOSED = 5_000;

interface OpenRecord {
  readonly record: KeptRecord;
  readonly since: number;
}

/** Writes the usage records of all connections, from the core's events. */
export class Ledger {
  readonly #store: UsageStore;
  readonly #clock: Clock;
  readonly #retentionMs: number;
  /** The open record of each connection, by the device's id, and its start on the monotonic clock. */
  readonly #open = new Map<string, OpenRecord>();
  #left: LeftConnections;
  /** The last records of connections that ended, until it is known what was measured in all. */
  readonly #closed = new Map<string, KeptRecord>();
  #heartbeat: Timer;
  #clearing: Timer;

  constructor(parts: { core: Core; store: UsageStore; clock: Clock; retentionMs: number }) {
    this.#store = parts.store;
    this.#clock = parts.clock;
    this.#retentionMs = parts.retentionMs;
    this.#left = new LeftConnections(parts.store.openRecords());
    parts.core.on('connected', (event) => this.#begin(event));
    parts.core.on('carriedOver', (event) => this.#goOn(event));
    parts.core.on('moved', (event) => this.#move(event));
    parts.core.on('formatsChanged', (event) => this.#changeFormats(event));
    parts.core.on('left', (event) => this.#end(event, event.reason));
    parts.core.on('measured', (event) => this.#measured(event));
    this.#heartbeat = this.#clock.setTimeout(() => this.#beat(), HEARTBEAT_MS);
    this.#clearing = this.#clock.setTimeout(() => this.#clear(), 0);
  }

  /**
   * Closes the records that a gateway left open when it died, at its last heartbeat; but not those of connections that
   * were carried over.
   * @returns the closed records, one for each connection
   */
  closeCrashed(): readonly KeptRecord[] {
    const gone = this.#store.openRecords().filter(({ connectionId }) => this.#left.has(connectionId));
    this.#left = new LeftConnections([]);
    const closed = gone.map((record) => {
      const endedAt = Math.max(record.startedAt, record.seenAt);
      const ended: KeptRecord = { ...record, endedAt, endReason: 'crashed' };
      this.#store.saveRecord(ended);
      return ended;
    });
    // Those that were carried over live now, even if this gateway dies before its first heartbeat.
    if (this.#open.size > 0) this.#store.heartbeat(this.#clock.now());
    return closed;
  }

  /** Whether a connection goes on, or may do so: an earlier gateway has left it open, and it was not carried over yet. */
  isOpen(connectionId: string): boolean {
    return this.#open.has(connectionId) || this.#left.has(connectionId);
  }

  /** Whether a participant has a connection that an earlier gateway has left open, and that was not carried over yet. */
  isMissing(participantId: string): boolean {
    return this.#left.hasOf(participantId);
  }

  stop(): void {
    this.#heartbeat.cancel();
    this.#clearing.cancel();
  }

  /** Continues the record that an earlier gateway left open; the time without a gateway counts too. */
  #goOn(event: DeviceEvent): void {
    this.#left.delete(event.device.id);
    const lengthSince = (startedAt: number): number => Math.max(0, this.#clock.now() - startedAt);
    const record = this.#store.openRecords().find((open) => open.connectionId === event.device.id);
    if (!record) {
      // It connected just before the gateway died.
      this.#begin(event, this.#clock.monotonic() - lengthSince(event.at));
      return;
    }
    this.#open.set(event.device.id, {
      record,
      since: this.#clock.monotonic() - lengthSince(record.startedAt),
    });
    this.#move({ ...event, at: this.#clock.now() });
  }

  #begin(event: DeviceEvent, since = this.#clock.monotonic()): void {
    const { device, participant, session, at } = event;
    const record: KeptRecord = {
      id: uuid(),
      connectionId: device.id,
      accountId: participant.accountId,
      ...sessionOf(session),
      participantId: participant.id,
      ...(participant.tag === undefined ? {} : { participantTag: participant.tag }),
      kind: device.kind,
      direction: device.direction,
      deviceId: device.externalId,
      ...(device.caller === undefined ? {} : { caller: device.caller }),
      ...(device.callerName === undefined ? {} : { callerName: device.callerName }),
      ...(device.called === undefined ? {} : { called: device.called }),
      ...(device.test && { test: true }),
      startedAt: at,
      seenAt: at,
      ...(participant.callbackUrl === undefined ? {} : { callbackUrl: participant.callbackUrl }),
      ...event.formats,
    };
    this.#keep(record, since);
  }

  /** The first session that a connection enters gets its record from the start; each further one a new record. */
  #move(event: DeviceEvent): void {
    const open = this.#open.get(event.device.id);
    if (!open || open.record.sessionId === event.session?.id) return;
    const { record, since } = open;
    if (record.sessionId === undefined) {
      this.#keep({ ...record, ...sessionOf(event.session), seenAt: this.#seenAt(open) }, since);
      return;
    }
    this.#end(event, 'moved');
    this.#begin(event);
  }

  #changeFormats({ device, formats }: DeviceEvent): void {
    const open = this.#open.get(device.id);
    if (!open) return;
    // An earlier gateway may have known a direction that this one does not know yet.
    const { received = open.record.received, sent = open.record.sent } = formats;
    this.#keep({ ...open.record, received, sent, seenAt: this.#seenAt(open) }, open.since);
  }

  /** The end is start plus length on the monotonic clock, since the machine's clock may have been set meanwhile. */
  #end({ device: { id: connectionId }, quality }: DeviceEvent, endReason: RecordEnd): void {
    const open = this.#open.get(connectionId);
    if (!open) return;
    this.#open.delete(connectionId);
    const at = this.#seenAt(open);
    const record = { ...open.record, seenAt: at, endedAt: at, endReason, ...(quality && { quality }) };
    this.#store.saveRecord(record);
    if (endReason === 'moved') return;
    this.#closed.set(connectionId, record);
    const [oldest] = this.#closed.keys();
    if (this.#closed.size > MAX_CLOSED && oldest !== undefined) this.#closed.delete(oldest);
  }

  /** The media of a device that left are closed: now all is counted. */
  #measured({ device, quality }: DeviceEvent): void {
    const record = this.#closed.get(device.id);
    this.#closed.delete(device.id);
    if (record && quality) this.#store.saveRecord({ ...record, quality });
  }

  #seenAt({ record, since }: OpenRecord): number {
    return record.startedAt + Math.round(this.#clock.monotonic() - since);
  }

  #keep(record: KeptRecord, since: number): void {
    this.#open.set(record.connectionId, { record, since });
    this.#store.saveRecord(record);
  }

  /** Length of an open record so far, in ms; undefined when it is closed. */
  lengthOf({ id, connectionId }: Pick<KeptRecord, 'id' | 'connectionId'>): number | undefined {
    const open = this.#open.get(connectionId);
    return open?.record.id === id ? this.#clock.monotonic() - open.since : undefined;
  }

  #beat(): void {
    if (this.#open.size > 0) this.#store.heartbeat(this.#clock.now());
    this.#heartbeat = this.#clock.setTimeout(() => this.#beat(), HEARTBEAT_MS);
  }

  #clear(): void {
    this.#store.deleteRecordsBefore(this.#clock.now() - this.#retentionMs);
    this.#clearing = this.#clock.setTimeout(() => this.#clear(), DAY_MS);
  }
}

function sessionOf(session: DeviceEvent['session']): Pick<KeptRecord, 'sessionId' | 'sessionTag'> {
  if (!session) return {};
  return { sessionId: session.id, ...(session.tag === undefined ? {} : { sessionTag: session.tag }) };
}
