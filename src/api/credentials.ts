import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto';

/** One account and the credentials that open it. */
export interface Account {
  readonly id: string;
  readonly user: string;
  readonly password: string;
}

/**
 * Tells who may act for an account, by HTTP Basic (RFC 7617). What is compared are keyed digests, so that the
 * time it takes tells nothing: neither how much of a password was right nor whether there is such an account.
 */
export class Credentials {
  readonly #key = randomBytes(32);
  readonly #digests = new Map<string, Buffer[]>();
  readonly #nobody = [randomBytes(32)];

  constructor(accounts: readonly Account[]) {
    for (const { id, user, password } of accounts) {
      this.#digests.set(id, [...(this.#digests.get(id) ?? []), this.#digest(`${user}:${password}`)]);
    }
  }

  /** Whether an `Authorization` header opens an account. */
  allow(accountId: string, authorization: string | undefined): boolean {
    const presented = this.#digest(basicCredentials(authorization));
    let allowed = false;
    for (const digest of this.#digests.get(accountId) ?? this.#nobody) {
      allowed = timingSafeEqual(digest, presented) || allowed;
    }
    return allowed;
  }

  #digest(credentials: string): Buffer {
    return createHmac('sha256', this.#key).update(credentials).digest();
  }
}

/** `user:password` of a Basic header; empty, which nobody's credentials are, for any other. */
function basicCredentials(authorization = ''): string {
  const [, encoded = ''] = /^basic +([\w+/=-]+) *$/i.exec(authorization) ?? [];
  return Buffer.from(encoded, 'base64').toString('utf8');
}
