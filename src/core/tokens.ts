import { createSecretKey, type KeyObject } from 'node:crypto';
import jwt from 'jsonwebtoken';
import { type Clock, systemClock } from '../shared/index.js';
import { PatchbayError } from './errors.js';
import type { Participant } from './types.js';

/** Far longer than any that {@link Tokens.issue} makes; longer ones are refused unparsed. */
const MAX_TOKEN_LENGTH = 1_024;

/** A secret shorter than HS256's output can be guessed more easily (RFC 7518 section 3.2). */
export const SAFE_SECRET_BYTES = 32;

/** Leaves out what the library would add: `iat` and the header's `typ`, which RFC 7519 section 5.1 makes optional. */
const SHORT: jwt.SignOptions = {
  algorithm: 'HS256',
  noTimestamp: true,
  header: { alg: 'HS256', typ: undefined },
};

interface TokenClaims {
  readonly accountId: string;
  readonly participantId: string;
}

/** Makes and checks participant tokens: JWTs signed with HS256 (RFC 7519, RFC 7518 section 3.2). */
export class Tokens {
  readonly #key: KeyObject;
  readonly #clock: Clock;

  /** @throws RangeError when the secret is empty */
  constructor(secret: string, clock: Clock) {
    if (secret === '') throw new RangeError('The token secret is empty.');
    this.#key = createSecretKey(Buffer.from(secret));
    this.#clock = clock;
  }

  /**
   * The token with which a participant's device connects, valid until the participant expires.
   * As short as possible: with a call id it has to fit into the 256 characters that a SIP transfer can carry.
   */
  issue(participant: Participant): string {
    const claims = {
      a: participant.accountId,
      p: participant.id,
      v: participant.deviceApiVersion,
      exp: Math.floor(participant.expiresAt / 1_000),
    };
    return jwt.sign(claims, this.#key, SHORT);
  }

  /** @throws PatchbayError TOKEN_INVALID, TOKEN_EXPIRED */
  verify(token: string, options: { readonly ignoreExpiry: boolean }): TokenClaims {
    if (token.length > MAX_TOKEN_LENGTH) throw invalid();
    const claims = this.#payload(token, options.ignoreExpiry);
    if (typeof claims === 'string') throw invalid();
    const accountId: unknown = claims['a'];
    const participantId: unknown = claims['p'];
    if (typeof accountId !== 'string' || typeof participantId !== 'string') throw invalid();
    if (claims.exp === undefined) throw invalid();
    return { accountId, participantId };
  }

  #payload(token: string, ignoreExpiration: boolean): jwt.JwtPayload | string {
    try {
      return jwt.verify(token, this.#key, {
        algorithms: ['HS256'],
        clockTimestamp: Math.floor(this.#clock.now() / 1_000),
        ignoreExpiration,
      });
    } catch (error) {
      if (error instanceof jwt.TokenExpiredError) {
        throw new PatchbayError('PATCHBAY_TOKEN_EXPIRED', 'The participant token has expired.');
      }
      throw invalid();
    }
  }
}

/** Has no `cause`: the library's errors may quote the token. */
function invalid(): PatchbayError {
  return new PatchbayError('PATCHBAY_TOKEN_INVALID', 'The participant token is not valid here.');
}

/**
 * Tells whether tokens are valid now, for a process that does not know the participants: theirs may be gone.
 * @param secret that of {@link Tokens}
 */
export function recognizerOf(secret: string, clock: Clock = systemClock): (token: string) => boolean {
  const tokens = new Tokens(secret, clock);
  return (token) => {
    try {
      tokens.verify(token, { ignoreExpiry: false });
      return true;
    } catch {
      return false;
    }
  };
}
