import type { HistoryEntry, HistoryEvent } from '../messages.js';

/** Entries that are kept while the leader does not acknowledge them; connects and ends are kept beyond that. */
const MAX_KEPT = 10_000;

/** Numbers what happened at an edge, and keeps it until the leader has acknowledged it. */
export class History {
  readonly #entries = new Map<number, HistoryEvent>();
  #last = 0;
  #acknowledgedTo = 0;
  #dropped = 0;

  /** How many events were dropped because too many were kept. */
  get dropped(): number {
    return this.#dropped;
  }

  get size(): number {
    return this.#entries.size;
  }

  add(event: HistoryEvent): HistoryEntry {
    if (this.#entries.size >= MAX_KEPT) this.#dropOne();
    this.#last += 1;
    this.#entries.set(this.#last, event);
    return { number: this.#last, event };
  }

  /** The leader has counted all up to this number. */
  acknowledged(number: number): void {
    this.#acknowledgedTo = Math.max(this.#acknowledgedTo, number);
    for (const known of this.#entries.keys()) {
      if (known > number) return;
      this.#entries.delete(known);
    }
  }

  /** The oldest first. */
  entries(): HistoryEntry[] {
    return Array.from(this.#entries, ([number, event]) => ({ number, event }));
  }

  /** The leader has counted all up to this number. */
  get acknowledgedTo(): number {
    return this.#acknowledgedTo;
  }

  /** Without connects and ends the leader's devices would not be the edge's; there is no more than one of each for a device. */
  #dropOne(): void {
    for (const [number, { type }] of this.#entries) {
      if (type === 'connect' || type === 'end') continue;
      this.#entries.delete(number);
      this.#dropped += 1;
      return;
    }
  }
}
