import type { CallRecord } from '../messages.js';
import type { EdgeCallStore } from './edge-store.js';

/** Calls of edges that are gone which were given to one edge, until it has connected their devices or given them up. */
export class GivenCalls {
  readonly #edgeId: string;
  readonly #store: EdgeCallStore | undefined;
  readonly #ids = new Set<string>();

  constructor(edgeId: string, store: EdgeCallStore | undefined) {
    this.#edgeId = edgeId;
    this.#store = store;
  }

  get isEmpty(): boolean {
    return this.#ids.size === 0;
  }

  has(id: string): boolean {
    return this.#ids.has(id);
  }

  add(id: string): void {
    this.#ids.add(id);
  }

  /** The edge has it, or does not go on with it. @returns whether it was given to the edge */
  delete(id: string): boolean {
    return this.#ids.delete(id);
  }

  clear(): void {
    this.#ids.clear();
  }

  /** What the edge is to be told of them. */
  records(): readonly CallRecord[] {
    if (this.isEmpty) return [];
    return (this.#store?.recordsOf(this.#edgeId) ?? []).filter(({ id }) => this.#ids.has(id));
  }

  /**
   * Calls that are the edge's own and that it does not state were given to it, by this leader or the one before.
   * @param isGiven what neither goes on nor is to be closed is over
   */
  expect(stated: { has(deviceId: string): boolean }, isGiven: (id: string) => boolean): void {
    for (const id of this.#ids) if (stated.has(id)) this.#ids.delete(id);
    for (const { id } of this.#store?.recordsOf(this.#edgeId) ?? [])
      if (!stated.has(id) && isGiven(id)) this.#ids.add(id);
  }
}
