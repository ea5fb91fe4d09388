import { createCipheriv, createDecipheriv, hkdfSync, randomBytes } from 'node:crypto';
import type { Log } from '../shared/index.js';
import { bytesOf, type Database, rows } from './database.js';
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
      'calls of the previous gateway cannot be read and are lost: the token secret changed, or rows are damaged',
    );
  }
  return { seal, calls };
}

/** Calls in progress, one row each. Rows are encrypted, since they name people and hold keys. */
export class CallTables {
  #found: readonly StoredCall[];
  readonly #seal: Seal;
  readonly #queue: WriteQueue;

  constructor({ seal, calls }: FoundCalls, queue: WriteQueue) {
    this.#found = calls;
    this.#seal = seal;
    this.#queue = queue;
  }

  /** The calls that were found at the start. They are returned once, so that memory need not hold them longer. */
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

const NONCE_BYTES = 12;
const TAG_BYTES = 16;

/**
 * Encrypts texts that must not lie in the database as they are, such as keys of SRTP: with AES-256-GCM, by a key made of
 * the token secret. Each is bound to a name, so that one row's text cannot be put into another.
 */
class Seal {
  readonly #key: Buffer;

  constructor(tokenSecret: string) {
    this.#key = Buffer.from(hkdfSync('sha256', tokenSecret, '', 'patchbay: calls in the store', 32));
  }

  close(name: string, text: string): string {
    const nonce = randomBytes(NONCE_BYTES);
    const cipher = createCipheriv('aes-256-gcm', this.#key, nonce).setAAD(Buffer.from(name));
    const sealed = Buffer.concat([cipher.update(text, 'utf8'), cipher.final()]);
    return Buffer.concat([nonce, cipher.getAuthTag(), sealed]).toString('base64');
  }

  /** @throws Error when it was changed, or sealed with another secret or name */
  open(name: string, sealed: string): string {
    const bytes = Buffer.from(sealed, 'base64');
    const nonce = bytes.subarray(0, NONCE_BYTES);
    const decipher = createDecipheriv('aes-256-gcm', this.#key, nonce, { authTagLength: TAG_BYTES });
    decipher.setAAD(Buffer.from(name)).setAuthTag(bytes.subarray(NONCE_BYTES, NONCE_BYTES + TAG_BYTES));
    const text = decipher.update(bytes.subarray(NONCE_BYTES + TAG_BYTES), undefined, 'utf8');
    return text + decipher.final('utf8');
  }
}
