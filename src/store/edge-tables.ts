import type { EdgeRecord, EdgeStore, StoredEdge } from '../cluster/index.js';
import type { WriteQueue } from './write-queue.js';

/**
 * The edges of the leader, one row each. A row is put into the same queue, in the same turn of the event loop, as what the
 * leader has counted of the edge: both are in one commit.
 */
export class EdgeTables implements EdgeStore {
  #found: readonly StoredEdge[];
  readonly #queue: WriteQueue;

  constructor(found: readonly StoredEdge[], queue: WriteQueue) {
    this.#found = found;
    this.#queue = queue;
  }

  /** They are returned once, so that memory need not hold them longer. */
  edges(): readonly StoredEdge[] {
    const found = this.#found;
    this.#found = [];
    return found;
  }

  saveEdge(id: string, record: EdgeRecord): void {
    this.#queue.put(`edge ${id}`, 'saveEdge', { id, record });
  }

  deleteEdge(id: string): void {
    this.#queue.put(`edge ${id}`, 'deleteEdge', { id });
  }

  flush(): Promise<void> {
    return this.#queue.flush();
  }
}
