import { randomBytes, timingSafeEqual } from 'node:crypto';
import type { onRequestHookHandler } from 'fastify';
import { PatchbayError } from '../core/index.js';

/** A user, a colon and a password have as many bytes of UTF-8 at most. */
const MAX_BYTES = 508;

/** Their length, they, and one byte more, which tells those that are too long from those that just fit in. */
const ROOM = 4 + MAX_BYTES + 1;

/** What stands around the credentials is white space, which their decoding passes over. */
const BASIC = /^basic +[\w+/=-]+ *$/i;

/** Lets nobody but the owner of the account in the path pass. */
export function authentication(credentials: Credentials): onRequestHookHandler {
  return function authenticate(request, reply, next) {
    if (credentials.allow(accountOf(request), request.headers.authorization)) {
      next();
      return;
    }
    reply.header('www-authenticate', 'Basic realm="Patchbay", charset="UTF-8"');
    next(new PatchbayError('PATCHBAY_UNAUTHORIZED', 'Unauthorized'));
  };
}

/** The account that a request's path names; empty outside of the accounts. */
export function accountOf(request: { readonly params: unknown }): string {
  // Null when the request was refused before its path was looked at.
  const params = request.params as { readonly accountId?: string } | null;
  return params?.accountId ?? '';
}

/** As {@link accountOf}; also of a request for which there is no route, or whose path cannot be decoded. */
export function accountNamed(request: { readonly params: unknown; readonly url: string }): string {
  return accountOf(request) || (ACCOUNT_PATH.exec(request.url)?.[1] ?? '');
}

const ACCOUNT_PATH = /^\/+v1\/+accounts\/+([^/?#]+)/;

/** One account and the credentials that open it. */
export interface Account {
  readonly id: string;
  readonly user: string;
  readonly password: string;
}

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
