import type { CloseReason } from '../messages.js';

/** Devices of an edge that the core has closed: the edge is told again until it has done it, over deaths of leaders too. */
export class Closings {
  readonly #reasons: Map<string, CloseReason>;
  /** Those that the edge has closed: the numbers of the last entries of their history. */
  readonly #done = new Map<string, number>();

  /** @param record of {@link toRecord} */
  constructor(record: Readonly<Record<string, string>>) {
    this.#reasons = new Map(Object.entries(record) as [string, CloseReason][]);
  }

  get size(): number {
    return this.#reasons.size;
  }

  reasonOf(deviceId: string): CloseReason | undefined {
    return this.#reasons.get(deviceId);
  }

  add(deviceId: string, reason: CloseReason): void {
    this.#reasons.set(deviceId, reason);
  }

  /** The edge has closed it. @param last number of the last entry of its history */
  done(deviceId: string, last: number): void {
    this.#done.set(deviceId, last);
  }

  /**
   * Forgets those that are done, once all of their history is counted: until then it must not connect them again.
   * @returns whether there were some
   */
  forget(counted: number): boolean {
    let hasChanged = false;
    for (const [id, last] of this.#done) {
      if (last > counted) continue;
      this.#done.delete(id);
      hasChanged = this.#reasons.delete(id) || hasChanged;
    }
    return hasChanged;
  }

  /** The edge never had it. */
  drop(deviceId: string): void {
    this.#reasons.delete(deviceId);
  }

  /** Forgets those that an edge does not have any more. */
  retain(stated: { has(deviceId: string): boolean }): void {
    for (const id of this.#reasons.keys()) if (!stated.has(id)) this.#reasons.delete(id);
  }

  toRecord(): Readonly<Record<string, CloseReason>> {
    return Object.fromEntries(this.#reasons);
  }
}
