import type { Log } from '../shared/index.js';
import { bytesOf, type Database, rows } from './database.js';
import { Seal } from './seal.js';
import type { WriteQueue } from './write-queue.js';

const SAVE_CALL = "INSERT OR REPLACE INTO calls SELECT value->>'id', value->>'sealed' FROM rows";
const DELETE_CALL = "DELETE FROM calls WHERE id IN (SELECT value->>'id' FROM rows)";

interface StoredCall {
  readonly id: string;
  readonly document: string;
}

interface FoundCalls {
  readonly seal: Seal;
  readonly calls: readonly StoredCall[];
}

/** Reads the calls that a gateway left when it died. Rows that cannot be opened are removed. */
export async function loadCalls(database: Database, tokenSecret: string, log: Log): Promise<FoundCalls> {
  const seal = new Seal(tokenSecret);
  const calls: StoredCall[] = [];
  const unreadable: string[] = [];
  const found = await rows(
    database,
    `SELECT ${bytesOf('id')}, hex(id) AS key, ${bytesOf('sealed')} FROM calls`,
  );
  for (const row of found) {
    const id = String(row['id']);
    try {
      calls.push({ id, document: seal.open(id, String(row['sealed'])) });
    } catch {
      // Damaged, or sealed with another token secret.
      unreadable.push(String(row['key']));
    }
  }
  for (const key of unreadable)
    await rows(database, 'DELETE FROM calls WHERE id = CAST(unhex(?) AS TEXT)', [key]);
  if (unreadable.length > 0) {
    log.warn(
      { table: 'calls', calls: unreadable.length },
      'calls of the gateway before cannot be read, since the token secret changed or the rows are damaged: they are lost',
    );
  }
  return { seal, calls };
}

/** Calls in progress, sealed: they name people and hold keys. There is a row for each, as long as it lasts. */
export class CallTables {
  #found: readonly StoredCall[];
  readonly #seal: Seal;
  readonly #queue: WriteQueue;

  constructor({ seal, calls }: FoundCalls, queue: WriteQueue) {
    this.#found = calls;
    this.#seal = seal;
    this.#queue = queue;
  }

  /** Those that were left at the start. They are told once: after that, memory need not hold them. */
  calls(): readonly StoredCall[] {
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
