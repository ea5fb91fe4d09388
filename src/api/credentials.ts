import { randomBytes, timingSafeEqual } from 'node:crypto';

/** One account and the credentials that open it. */
export interface Account {
  readonly id: string;
  readonly user: string;
  readonly password: string;
}

/** Room for a user, a colon and a password, in bytes of UTF-8, behind their length. */
const MAX_BYTES = 1020;

/**
 * Tells who may act for an account, by HTTP Basic (RFC 7617). What is compared has always the same length and
 * takes always the same time, which so tells nothing: neither how much of a password was right, nor how long
 * it is, nor whether there is such an account.
 */
export class Credentials {
  readonly #known = new Map<string, Buffer[]>();
  readonly #nobody = [randomBytes(4 + MAX_BYTES)];

  /** @throws RangeError when user and password of an account are too long */
  constructor(accounts: readonly Account[]) {
    for (const { id, user, password } of accounts) {
      const credentials = Buffer.from(`${user}:${password}`);
      if (credentials.length > MAX_BYTES) {
        throw new RangeError(`User and password of account ${id} are longer than ${MAX_BYTES} bytes.`);
      }
      this.#known.set(id, [...(this.#known.get(id) ?? []), padded(credentials)]);
    }
  }

  /** Whether an `Authorization` header opens an account. */
  allow(accountId: string, authorization: string | undefined): boolean {
    const presented = padded(basicCredentials(authorization));
    let allowed = false;
    for (const known of this.#known.get(accountId) ?? this.#nobody) {
      allowed = timingSafeEqual(known, presented) || allowed;
    }
    return allowed;
  }
}

/** The length, the bytes, and zeros: different for all that are at most MAX_BYTES, or longer than that. */
function padded(bytes: Buffer): Buffer {
  const room = Buffer.alloc(4 + MAX_BYTES);
  room.writeUInt32BE(bytes.length);
  bytes.copy(room, 4);
  return room;
}

/** `user:password` of a Basic header; empty, which nobody's credentials are, for any other. */
function basicCredentials(authorization = ''): Buffer {
  const [, encoded = ''] = /^basic +([\w+/=-]+) *$/i.exec(authorization) ?? [];
  return Buffer.from(encoded, 'base64');
}
