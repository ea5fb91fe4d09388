import type { Log } from '../shared/index.js';
import { openRows, Seal, type SealedDocument, type SealedRow } from './seal.js';
import type { WriteQueue } from './write-queue.js';

/** Calls in progress, one row each. Rows are encrypted, since they name people and hold keys. */
export class CallTables {
  #found: readonly SealedDocument[];
  readonly #seal: Seal;
  readonly #queue: WriteQueue;

  /** Opens the rows that were found at the start, and removes those that cannot be opened. */
  constructor(rows: readonly SealedRow[], tokenSecret: string, queue: WriteQueue, log: Log) {
    this.#seal = new Seal(tokenSecret, 'patchbay: calls in the store');
    this.#queue = queue;
    const { found, lost } = openRows(rows, this.#seal);
    this.#found = found;
    for (const id of lost) this.deleteCall(id);
    if (lost.length > 0) {
      log.warn(
        { table: 'calls', calls: lost.length },
        'calls of the previous gateway cannot be read and are lost: the token secret changed, or rows are damaged',
      );
    }
  }

  /** The calls that were found at the start. They are returned once, so that memory need not hold them longer. */
  calls(): readonly SealedDocument[] {
    const found = this.#found;
    this.#found = [];
    return found;
  }

  saveCall(id: string, document: string): void {
    this.#queue.put(`call ${id}`, 'saveCall', { id, sealed: this.#seal.close(id, document) });
  }

  deleteCall(id: string): void {
    this.#queue.put(`call ${id}`, 'deleteCall', { id });
  }
}
