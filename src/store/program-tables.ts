import type { Log } from '../shared/index.js';
import type { Database } from './database.js';
import { Seal, type SealedDocument, sealedRows } from './seal.js';
import type { WriteQueue } from './write-queue.js';

const SAVE_PROGRAM = "INSERT OR REPLACE INTO programs SELECT value->>'id', value->>'sealed' FROM rows";
const DELETE_PROGRAM = "DELETE FROM programs WHERE id IN (SELECT value->>'id' FROM rows)";

interface FoundPrograms {
  readonly seal: Seal;
  readonly programs: readonly SealedDocument[];
}

/** Reads the programs to which the gateway is to connect. Rows that cannot be opened are removed. */
export async function loadPrograms(
  database: Database,
  tokenSecret: string,
  log: Log,
): Promise<FoundPrograms> {
  const seal = new Seal(tokenSecret, 'patchbay: programs in the store');
  const { found, lost } = await sealedRows(database, 'programs', seal);
  if (lost > 0) {
    log.warn(
      { table: 'programs', programs: lost },
      'Programs to connect to cannot be read and are lost: the token secret changed, or rows are damaged.',
    );
  }
  return { seal, programs: found };
}

/**
 * Programs to which the gateway connects, one row each by the id of the participant. Rows are encrypted, since URL and
 * headers hold secrets of the application.
 */
export class ProgramTables {
  #found: readonly SealedDocument[];
  readonly #seal: Seal;
  readonly #queue: WriteQueue;

  constructor({ seal, programs }: FoundPrograms, queue: WriteQueue) {
    this.#found = programs;
    this.#seal = seal;
    this.#queue = queue;
  }

  /** Those that were found at the start. They are returned once, so that memory need not hold them longer. */
  programs(): readonly SealedDocument[] {
    const found = this.#found;
    this.#found = [];
    return found;
  }

  saveProgram(id: string, document: string): void {
    this.#queue.put(`program ${id}`, SAVE_PROGRAM, { id, sealed: this.#seal.close(id, document) });
  }

  deleteProgram(id: string): void {
    this.#queue.put(`program ${id}`, DELETE_PROGRAM, { id });
  }

  /** @throws PatchbayError STORE_UNAVAILABLE while something saved before could not be written */
  admitChange(): void {
    this.#queue.admitChange();
  }
}
