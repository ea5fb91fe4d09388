import { createHmac, createSecretKey, hkdfSync, type KeyObject, randomBytes } from 'node:crypto';
import jwt from 'jsonwebtoken';
import type { Clock } from '../../shared/index.js';

/** The cookie of someone who is signed in at the console. */
export const CONSOLE_COOKIE = 'patchbay-console';

/** How long somebody stays signed in. */
export const SIGNED_IN_S = 12 * 3600;

/** Far longer than any cookie that is made here; longer ones are refused unparsed. */
const MAX_COOKIE_LENGTH = 1_024;

/** Sign-outs that are remembered for each user and password. */
const MAX_SIGNED_OUT = 1_000;

interface NamedAccount {
  readonly id: string;
  readonly user: string;
  readonly password: string;
}

/** Whom a cookie stands for. */
export interface SignedIn {
  readonly user: string;
  /** Those whose user and password were given. */
  readonly accountIds: readonly string[];
}

/** A user and password, and what was signed out of them. */
interface Holder extends SignedIn {
  readonly signedOut: Map<string, number>;
  /** Cookies that were made earlier count no more (epoch seconds). */
  validFrom: number;
}

interface ConsoleSessionsOptions {
  readonly tokenSecret: string;
  readonly accounts: readonly NamedAccount[];
  readonly clock: Clock;
}

/**
 * Who is signed in at the console: all of it is in the cookie, a JWT, so that it outlives a restart. Its key is made of
 * the token secret, and is not that of participant tokens: neither passes for the other. It names user and password by
 * a keyed fingerprint, so that it ends with the password. Only sign-outs are remembered, and a restart forgets them.
 */
export class ConsoleSessions {
  readonly #key: KeyObject;
  readonly #fingerprintKey: KeyObject;
  readonly #clock: Clock;
  /** By the fingerprint of user and password. */
  readonly #holders = new Map<string, Holder>();

  constructor({ tokenSecret, accounts, clock }: ConsoleSessionsOptions) {
    const derived = (label: string): KeyObject =>
      createSecretKey(Buffer.from(hkdfSync('sha256', tokenSecret, '', label, 32)));
    this.#key = derived('patchbay console cookie');
    this.#fingerprintKey = derived('patchbay console credentials');
    this.#clock = clock;
    for (const { id, user, password } of accounts) {
      const fingerprint = this.#fingerprint(user, password);
      const others = this.#holders.get(fingerprint)?.accountIds ?? [];
      const holder = {
        user,
        accountIds: [...others, id],
        signedOut: new Map<string, number>(),
        validFrom: 0,
      };
      this.#holders.set(fingerprint, holder);
    }
  }

  /** Whose user and password these are; undefined if they are wrong. */
  holderOf(user: string, password: string): SignedIn | undefined {
    return this.#holders.get(this.#fingerprint(user, password));
  }

  /** The cookie of someone with a {@link holderOf right} user and password. */
  cookieFor(user: string, password: string): string {
    const now = this.#now();
    const claims = {
      f: this.#fingerprint(user, password),
      jti: randomBytes(12).toString('base64url'),
      iat: now,
      exp: now + SIGNED_IN_S,
    };
    return jwt.sign(claims, this.#key, { algorithm: 'HS256' });
  }

  /** Who is signed in by a cookie; undefined if it is not valid, or not any more. */
  signedIn(cookie: string | undefined): SignedIn | undefined {
    const read = this.#read(cookie);
    if (!read || read.holder.signedOut.has(read.id) || read.madeAt < read.holder.validFrom) return undefined;
    return read.holder;
  }

  /** Makes a cookie void. */
  signOut(cookie: string | undefined): void {
    const read = this.#read(cookie);
    if (!read) return;
    const { signedOut } = read.holder;
    const now = this.#now();
    for (const [id, endsAt] of signedOut) if (endsAt <= now) signedOut.delete(id);
    if (signedOut.size >= MAX_SIGNED_OUT) {
      // Forgetting one would let it in again, so all that are this old have to sign in again.
      signedOut.clear();
      read.holder.validFrom = now + 1;
    }
    signedOut.set(read.id, read.endsAt);
  }

  #read(cookie: string | undefined) {
    if (cookie === undefined || cookie.length > MAX_COOKIE_LENGTH) return undefined;
    const claims = this.#claims(cookie);
    if (claims === undefined) return undefined;
    const { f, jti, iat, exp } = claims;
    const holder = this.#holders.get(String(f));
    if (!holder || jti === undefined || iat === undefined || exp === undefined) return undefined;
    return { holder, id: jti, madeAt: iat, endsAt: exp };
  }

  #claims(cookie: string): jwt.JwtPayload | undefined {
    try {
      const claims = jwt.verify(cookie, this.#key, { algorithms: ['HS256'], clockTimestamp: this.#now() });
      return typeof claims === 'string' ? undefined : claims;
    } catch {
      // Expired, changed, or made with another secret: whoever sent it is not signed in.
      return undefined;
    }
  }

  #fingerprint(user: string, password: string): string {
    // A user has no colon (RFC 7617 section 2): `a:b` and `c` are not `a` and `b:c`.
    const text = user.includes(':') ? '' : `${user}:${password}`;
    return createHmac('sha256', this.#fingerprintKey).update(text).digest('base64url').slice(0, 22);
  }

  /** In seconds, as JWTs have it. */
  #now(): number {
    return Math.floor(this.#clock.now() / 1_000);
  }
}
