import type { CallRecord, EdgeCallStore } from '../cluster/index.js';
import type { Log } from '../shared/index.js';
import { openRows, Seal, type SealedRow } from './seal.js';
import type { WriteQueue } from './write-queue.js';

interface OwnedCall {
  readonly document: string;
  /** Undefined: a version that knew no edges has written it. */
  readonly edge: string | undefined;
}

/**
 * Calls in progress, one row each, with the edge that has them. Rows are encrypted, since they name people and hold keys. They
 * stay in memory: an edge may ask for its own at any time, and another one may have to go on with them.
 */
export class CallTables implements EdgeCallStore {
  readonly #calls = new Map<string, OwnedCall>();
  readonly #seal: Seal;
  readonly #queue: WriteQueue;

  /** Opens the rows that were found at the start, and removes those that cannot be opened. */
  constructor(rows: readonly SealedRow[], tokenSecret: string, queue: WriteQueue, log: Log) {
    this.#seal = new Seal(tokenSecret, 'patchbay: calls in the store');
    this.#queue = queue;
    const { found, lost } = openRows(rows, this.#seal);
    const edges = new Map(rows.map(({ id, edge }) => [id, edge]));
    for (const { id, document } of found) this.#calls.set(id, { document, edge: edges.get(id) });
    for (const id of lost) this.deleteCall(id);
    if (lost.length > 0) {
      log.warn(
        { table: 'calls', calls: lost.length },
        'calls of the previous gateway cannot be read and are lost: the token secret changed, or rows are damaged',
      );
    }
  }

  get size(): number {
    return this.#calls.size;
  }

  /** Calls that no edge has yet become those of the first one that asks. */
  recordsOf(edgeId: string): readonly CallRecord[] {
    const records: CallRecord[] = [];
    for (const [id, { document, edge }] of this.#calls) {
      if (edge === undefined) this.saveCall(id, document, edgeId);
      if (edge === undefined || edge === edgeId) records.push({ id, document });
    }
    return records.sort((one, other) => (one.id < other.id ? -1 : 1));
  }

  ownerOf(id: string): string | undefined {
    return this.#calls.get(id)?.edge;
  }

  saveCall(id: string, document: string, edge: string): void {
    this.#calls.set(id, { document, edge });
    this.#queue.put(`call ${id}`, 'saveCall', { id, sealed: this.#seal.close(id, document), edge });
  }

  deleteCall(id: string): void {
    this.#calls.delete(id);
    this.#queue.put(`call ${id}`, 'deleteCall', { id });
  }

  flush(): Promise<void> {
    return this.#queue.flush();
  }
}
