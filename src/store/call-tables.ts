import type { Log } from '../shared/index.js';
import type { Database } from './database.js';
import { Seal, type SealedDocument, sealedRows } from './seal.js';
import type { WriteQueue } from './write-queue.js';

const SAVE_CALL = "INSERT OR REPLACE INTO calls SELECT value->>'id', value->>'sealed' FROM rows";
const DELETE_CALL = "DELETE FROM calls WHERE id IN (SELECT value->>'id' FROM rows)";

interface FoundCalls {
  readonly seal: Seal;
  readonly calls: readonly SealedDocument[];
}

/** Reads the calls that a gateway left when it died. Rows that cannot be opened are removed. */
export async function loadCalls(database: Database, tokenSecret: string, log: Log): Promise<FoundCalls> {
  const seal = new Seal(tokenSecret, 'patchbay: calls in the store');
  const { found, lost } = await sealedRows(database, 'calls', seal);
  if (lost > 0) {
    log.warn(
      { table: 'calls', calls: lost },
      'calls of the previous gateway cannot be read and are lost: the token secret changed, or rows are damaged',
    );
  }
  return { seal, calls: found };
}

/** Calls in progress, one row each. Rows are encrypted, since they name people and hold keys. */
export class CallTables {
  #found: readonly SealedDocument[];
  readonly #seal: Seal;
  readonly #queue: WriteQueue;

  constructor({ seal, calls }: FoundCalls, queue: WriteQueue) {
    this.#found = calls;
    this.#seal = seal;
    this.#queue = queue;
  }

  /** The calls that were found at the start. They are returned once, so that memory need not hold them longer. */
  calls(): readonly SealedDocument[] {
    const found = this.#found;
    this.#found = [];
    return found;
  }

  saveCall(id: string, document: string): void {
    this.#queue.put(`call ${id}`, SAVE_CALL, { id, sealed: this.#seal.close(id, document) });
  }

  deleteCall(id: string): void {
    this.#queue.put(`call ${id}`, DELETE_CALL, { id });
  }
}
