import type { Log } from '../shared/index.js';
import { openRows, Seal, type SealedDocument, type SealedRow } from './seal.js';
import type { WriteQueue } from './write-queue.js';

/**
 * Programs to which the gateway connects, one row each by the id of the participant. Rows are encrypted, since URL and
 * headers hold secrets of the application.
 */
export class ProgramTables {
  #found: readonly SealedDocument[];
  readonly #seal: Seal;
  readonly #queue: WriteQueue;

  /** Opens the rows that were found at the start, and removes those that cannot be opened. */
  constructor(rows: readonly SealedRow[], tokenSecret: string, queue: WriteQueue, log: Log) {
    this.#seal = new Seal(tokenSecret, 'patchbay: programs in the store');
    this.#queue = queue;
    const { found, lost } = openRows(rows, this.#seal);
    this.#found = found;
    for (const id of lost) this.deleteProgram(id);
    if (lost.length > 0) {
      log.warn(
        { table: 'programs', programs: lost.length },
        'Programs to connect to cannot be read and are lost: the token secret changed, or rows are damaged.',
      );
    }
  }

  /** Those that were found at the start. They are returned once, so that memory need not hold them longer. */
  programs(): readonly SealedDocument[] {
    const found = this.#found;
    this.#found = [];
    return found;
  }

  saveProgram(id: string, document: string): void {
    this.#queue.put(`program ${id}`, 'saveProgram', { id, sealed: this.#seal.close(id, document) });
  }

  deleteProgram(id: string): void {
    this.#queue.put(`program ${id}`, 'deleteProgram', { id });
  }

  /** @throws PatchbayError STORE_UNAVAILABLE while something saved before could not be written */
  admitChange(): void {
    this.#queue.admitChange();
  }
}
