import { randomBytes, timingSafeEqual } from 'node:crypto';

/** One account and the credentials that open it. */
export interface Account {
  readonly id: string;
  readonly user: string;
  readonly password: string;
}

/** A user, a colon and a password have as many bytes of UTF-8 at most. */
const MAX_BYTES = 508;
/** Their length, they, and one byte more, which tells those that are too long from those that just fit in. */
const ROOM = 4 + MAX_BYTES + 1;

/**
 * Tells who may act for an account, by HTTP Basic (RFC 7617). What is compared has always the same length and
 * takes always the same time, which so tells nothing: neither how much of a password was right, nor how long
 * it is, nor whether there is such an account.
 */
export class Credentials {
  readonly #known = new Map<string, Buffer[]>();
  readonly #nobody = [randomBytes(ROOM)];
  /** What was presented last. */
  readonly #presented = Buffer.alloc(ROOM);

  /** @throws RangeError when user and password of an account are too long */
  constructor(accounts: readonly Account[]) {
    for (const { id, user, password } of accounts) {
      const credentials = Buffer.from(`${user}:${password}`);
      if (credentials.length > MAX_BYTES) {
        throw new RangeError(`User and password of account ${id} are longer than ${MAX_BYTES} bytes.`);
      }
      const known = Buffer.alloc(ROOM);
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

/** Writes the length, the decoded bytes as far as there is room for them, and zeros. */
function put(room: Buffer, encoded: string): void {
  const length = room.write(encoded, 4, 'base64');
  room.fill(0, 4 + length);
  room.writeUInt32BE(length);
}

/** `user:password` of a Basic header, in base64; empty, which nobody's credentials are, for any other. */
function encodedCredentials(authorization = ''): string {
  return BASIC.test(authorization) ? authorization.slice('basic '.length) : '';
}

/** What stands around the credentials is white space, which their decoding passes over. */
const BASIC = /^basic +[\w+/=-]+ *$/i;
