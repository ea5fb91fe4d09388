import { randomBytes, timingSafeEqual } from 'node:crypto';

/** One account and the credentials that open it. */
export interface Account {
  readonly id: string;
  readonly user: string;
  readonly password: string;
}

/** Room for a user, a colon and a password, in bytes of UTF-8, behind their length. */
const MAX_BYTES = 508;

/**
 * Tells who may act for an account, by HTTP Basic (RFC 7617). What is compared has always the same length and
 * takes always the same time, which so tells nothing: neither how much of a password was right, nor how long
 * it is, nor whether there is such an account.
 */
export class Credentials {
  readonly #known = new Map<string, Buffer[]>();
  readonly #nobody = [randomBytes(4 + MAX_BYTES)];
  /** What was presented last. */
  readonly #presented = Buffer.alloc(4 + MAX_BYTES);

  /** @throws RangeError when user and password of an account are too long */
  constructor(accounts: readonly Account[]) {
    for (const { id, user, password } of accounts) {
      const credentials = Buffer.from(`${user}:${password}`);
      if (credentials.length > MAX_BYTES) {
        throw new RangeError(`User and password of account ${id} are longer than ${MAX_BYTES} bytes.`);
      }
      const known = Buffer.alloc(4 + MAX_BYTES);
      put(known, credentials.toString('base64'));
      this.#known.set(id, [...(this.#known.get(id) ?? []), known]);
    }
  }

  /** Whether an `Authorization` header opens an account. */
  allow(accountId: string, authorization: string | undefined): boolean {
    put(this.#presented, encodedCredentials(authorization));
    let allowed = false;
    for (const known of this.#known.get(accountId) ?? this.#nobody) {
      allowed = timingSafeEqual(known, this.#presented) || allowed;
    }
    return allowed;
  }
}

/** Writes the length, the decoded bytes, and zeros: different for all that fit in, and for all that do not. */
function put(room: Buffer, encoded: string): void {
  room.fill(0);
  room.writeUInt32BE(Buffer.byteLength(encoded, 'base64'));
  room.write(encoded, 4, 'base64');
}

/** `user:password` of a Basic header, in base64; empty, which nobody's credentials are, for any other. */
function encodedCredentials(authorization = ''): string {
  return /^basic +([\w+/=-]+) *$/i.exec(authorization)?.[1] ?? '';
}
