import { createCipheriv, createDecipheriv, hkdfSync, randomBytes } from 'node:crypto';

const NONCE_BYTES = 12;
const TAG_BYTES = 16;

/**
 * Encrypts texts that must not lie in the database as they are, such as keys of SRTP: with AES-256-GCM, by a key made of
 * the token secret. Each is bound to a name, so that one row's text cannot be put into another.
 */
export class Seal {
  readonly #key: Buffer;

  /** @param purpose what it seals: each purpose has a key of its own */
  constructor(tokenSecret: string, purpose: string) {
    this.#key = Buffer.from(hkdfSync('sha256', tokenSecret, '', purpose, 32));
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

/** What was in a sealed row. */
export interface SealedDocument {
  readonly id: string;
  readonly document: string;
}

/** A row as it is stored. */
export interface SealedRow {
  readonly id: string;
  readonly sealed: string;
  /** Calls: the edge that has it. */
  readonly edge?: string | undefined;
}

/**
 * Opens rows.
 * @returns what was in them, and the ids of those that cannot be opened: they are damaged, or sealed with another token
 *   secret
 */
export function openRows(
  rows: readonly SealedRow[],
  seal: Seal,
): { readonly found: readonly SealedDocument[]; readonly lost: readonly string[] } {
  const found: SealedDocument[] = [];
  const lost: string[] = [];
  for (const { id, sealed } of rows) {
    try {
      found.push({ id, document: seal.open(id, sealed) });
    } catch {
      lost.push(id);
    }
  }
  return { found, lost };
}
