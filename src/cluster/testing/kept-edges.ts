import type { EdgeRecord, EdgeStore } from '../leader/edge-store.js';

/** Edges that a leader writes down, for the next one. */
export class KeptEdges implements EdgeStore {
  readonly #records = new Map<string, EdgeRecord>();

  edges(): readonly { readonly id: string; readonly record: EdgeRecord }[] {
    return Array.from(this.#records, ([id, record]) => ({ id, record }));
  }
  saveEdge(id: string, record: EdgeRecord): void {
    this.#records.set(id, record);
  }
  deleteEdge(id: string): void {
    this.#records.delete(id);
  }
  flush(): Promise<void> {
    return Promise.resolve();
  }
}
