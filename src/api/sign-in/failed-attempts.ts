import { createHash } from 'node:crypto';
import type { FastifyReply } from 'fastify';
import { PatchbayError } from '../../core/index.js';
import { BoundedMap, type Clock, networkOf, type Rate, TokenBucket } from '../../shared/index.js';

/** Wrong passwords of one user that one address may try. */
const RATE: Rate = { burst: 10, perSecond: 1 / 6 };

/** Addresses (or networks) with failures; the one that has been quiet for longest is forgotten. */
const MAX_NETWORKS = 2_000;
/** Users of one address with failures; further ones share their tries. */
const MAX_USERS = 8;
/** Wrong passwords of one user at one address that are recognised when they come again. */
const MAX_WRONG = 4;
/** Addresses whose credentials were right. */
const MAX_RIGHT = 10_000;

/** The users beyond {@link MAX_USERS} at one address. */
const OTHERS = '';

interface Failures {
  readonly bucket: TokenBucket;
  readonly wrong: BoundedMap<string, TokenBucket>;
}

/** User and password as somebody gave them. */
interface Attempt {
  /** Of the client. */
  readonly address: string;
  readonly user: string;
  readonly password: string;
  readonly isRight: boolean;
}

/** An attempt that failed, or was refused since too many had: `waitS` says for how long. */
export type RefusedAttempt = 'wrong' | { readonly waitS: number };

/**
 * Slows down who tries passwords. Failures count for each user and address: nobody is locked out by what others try at
 * other addresses, or as other users. At the same address, somebody whose credentials were right goes on; and one that
 * sends the same wrong password again and again, as a program does that is configured wrongly, uses up its own tries only.
 */
export class FailedAttempts {
  readonly #clock: Clock;
  readonly #networks = new BoundedMap<string, Map<string, Failures>>(MAX_NETWORKS);
  readonly #right = new BoundedMap<string, true>(MAX_RIGHT);

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** @returns why an attempt is refused; undefined if it is right and may pass */
  refusal({ address, user, password, isRight }: Attempt): RefusedAttempt | undefined {
    const network = networkOf(address);
    const secret = digest(`${user}:${password}`);
    const key = `${network} ${secret}`;
    if (isRight && this.#right.get(key)) {
      this.#right.set(key, true);
      return undefined;
    }
    const now = this.#clock.monotonic();
    const failures = this.#failuresOf(network, user);
    const bucket = failures?.wrong.get(secret) ?? failures?.bucket;
    const waitMs = bucket?.waitMs(now) ?? 0;
    if (waitMs > 0) return { waitS: Math.ceil(waitMs / 1000) };
    if (isRight) {
      this.#right.set(key, true);
      return undefined;
    }
    this.#count(failures ?? this.#begin(network, user, now), secret, now);
    return 'wrong';
  }

  /** Those that count for a user; undefined if there are none. */
  #failuresOf(network: string, user: string): Failures | undefined {
    const users = this.#networks.get(network);
    if (!users) return undefined;
    this.#networks.set(network, users);
    return users.get(digest(user)) ?? (users.size >= MAX_USERS ? users.get(OTHERS) : undefined);
  }

  #begin(network: string, user: string, now: number): Failures {
    const users = this.#networks.get(network) ?? new Map<string, Failures>();
    this.#networks.set(network, users);
    for (const [name, { bucket }] of users) if (bucket.isFull(now)) users.delete(name);
    const failures = {
      bucket: new TokenBucket(RATE, now),
      wrong: new BoundedMap<string, TokenBucket>(MAX_WRONG),
    };
    users.set(users.size < MAX_USERS ? digest(user) : OTHERS, failures);
    return failures;
  }

  #count({ bucket, wrong }: Failures, secret: string, now: number): void {
    const repeated = wrong.get(secret);
    if (repeated) {
      repeated.take(now);
      return;
    }
    bucket.take(now);
    const own = new TokenBucket(RATE, now);
    own.take(now);
    wrong.set(secret, own);
  }
}

/** Of one length, however long the text is. */
const digest = (text: string): string => createHash('sha256').update(text).digest('base64url').slice(0, 22);

/** The answer to who has to wait. */
export function tooManyAttempts(reply: Pick<FastifyReply, 'header'>, waitS: number): PatchbayError {
  reply.header('retry-after', waitS);
  const words = `Too many wrong passwords of this user from this address; retry in ${waitS} s.`;
  return new PatchbayError('PATCHBAY_TOO_MANY_REQUESTS', words);
}
