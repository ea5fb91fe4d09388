import type { FromLeader, HistoryEntry, StateChange } from '../messages.js';
import type { EdgeDevices } from './edge-devices.js';
import type { EdgeRecord } from './edge-store.js';
import { type KnownDevices, WaitingHistory } from './waiting-history.js';

const NONE: KnownDevices = new Map();

/** What is counted of the history of an edge's process. */
type Counted = Pick<EdgeRecord, 'process' | 'counted'>;

interface CountingParts {
  readonly devices: Pick<EdgeDevices, 'closings' | 'happened'>;
  /** What else the edge's record has. */
  readonly rest: () => Omit<EdgeRecord, keyof Counted>;
  /** Saves the record with what else is saved now. @returns when it is on disk; undefined: nowhere */
  readonly save: (record: EdgeRecord) => Promise<void> | undefined;
  /** Whether new devices are taken. */
  readonly isSettled: () => boolean;
  readonly tell: (message: FromLeader) => void;
}

/** What happens at an edge: counted once and in order, and acknowledged when it is on disk together with what it caused. */
export class Counting {
  readonly #parts: CountingParts;
  readonly #waiting = new WaitingHistory();
  #process: string;
  #counted: number;
  #acknowledged: number;
  #isSaving = false;
  #isCountingAll = false;

  constructor({ process, counted }: Counted, parts: CountingParts) {
    this.#process = process;
    this.#counted = counted;
    this.#acknowledged = counted;
    this.#parts = parts;
  }

  /** The number up to which all is counted. */
  get counted(): number {
    return this.#counted;
  }

  /** The same, of what is on disk: the edge need not keep it for the next leader. */
  get acknowledged(): number {
    return this.#acknowledged;
  }

  /** A process of the edge has connected, which states again what is not counted. @returns whether it is the one before */
  greeted(process: string): boolean {
    this.#waiting.take();
    if (process === this.#process) return true;
    this.#process = process;
    this.#counted = 0;
    this.#acknowledged = 0;
    return false;
  }

  /** Counts what is new of what an edge has stated. */
  countAll(news: readonly HistoryEntry[], stated: KnownDevices): void {
    this.#isCountingAll = true;
    for (const entry of news) this.count(entry, stated);
    this.#isCountingAll = false;
  }

  count(entry: HistoryEntry, known: KnownDevices = NONE): void {
    const { devices } = this.#parts;
    if (entry.number <= this.#counted) return;
    if (!this.#waiting.isEmpty || this.#isNewTooEarly(entry, known)) {
      this.#waiting.add(entry, known);
      return;
    }
    this.#counted = entry.number;
    devices.closings.forget(entry.number);
    devices.happened(entry.event, known);
    this.save();
  }

  /** What a device does while its `connect` waits. @returns whether it waits */
  change(deviceId: string, change: StateChange): boolean {
    return this.#waiting.change(deviceId, change);
  }

  /** Whether a device's end waits. */
  hasEndOf(deviceId: string): boolean {
    return this.#waiting.hasEndOf(deviceId);
  }

  /** Nothing waits any more: the edge is given up. */
  drop(): void {
    this.#waiting.take();
  }

  /** New devices are taken from now on: counts what waits for that. @returns the devices that waited */
  settled(): KnownDevices {
    const { entries, devices } = this.#waiting.take();
    for (const entry of entries) {
      const { event, number } = entry;
      if (event.type === 'connect' && !devices.has(event.device.info.id)) this.#counted = number;
      else this.count(entry, devices);
    }
    this.save();
    return devices;
  }

  /** Saves what is counted, together with what it caused, and acknowledges it once that is on disk. */
  save(): void {
    if (this.#isCountingAll) return;
    const { rest, save } = this.#parts;
    const record = { process: this.#process, counted: this.#counted, ...rest() };
    const saved = save(record);
    if (!saved) {
      this.#acknowledge(this.#counted);
      return;
    }
    if (this.#isSaving) {
      // It is acknowledged with a later one, also when it fails: the store tries again by itself.
      saved.catch(() => undefined);
      return;
    }
    this.#isSaving = true;
    saved.then(
      () => this.#saved(record),
      // The store tries again by itself; what is counted next is acknowledged together with this.
      () => (this.#isSaving = false),
    );
  }

  #saved({ process, counted }: Counted): void {
    this.#isSaving = false;
    // Another process of the edge may have connected meanwhile: its history has numbers of its own.
    const isSame = process === this.#process;
    if (isSame) this.#acknowledge(counted);
    if (!isSame || this.#counted > counted) this.save();
  }

  #acknowledge(number: number): void {
    this.#acknowledged = number;
    this.#parts.tell({ type: 'acknowledged', number });
  }

  /** Whether it is a new device, and other edges may still state a device of its participant that was there before. */
  #isNewTooEarly({ event }: HistoryEntry, known: KnownDevices): boolean {
    if (event.type !== 'connect' || event.device.isCarried || this.#parts.isSettled()) return false;
    return known.get(event.device.info.id)?.order === undefined;
  }
}
