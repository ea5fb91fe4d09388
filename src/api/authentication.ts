import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import type { onRequestHookHandler } from 'fastify';
import { PatchbayError } from '../core/index.js';
import { type ClientAddress, inNetworks, isForwarded } from '../shared/index.js';

/** Most bytes of `user:password` in UTF-8. */
const MAX_BYTES = 508;

/** `Basic` and the credentials in base64, with or without padding (RFC 7617 section 2). */
const BASIC = /^basic +([\w+/=-]+) *$/i;

/** Refuses requests without the credentials of the account in the path. */
export function authentication(credentials: Credentials): onRequestHookHandler {
  return function authenticate(request, reply, next) {
    const fault = credentials.faultOf(accountOf(request), request.headers.authorization);
    if (fault === undefined) {
      next();
      return;
    }
    reply.header('www-authenticate', 'Basic realm="Patchbay", charset="UTF-8"');
    next(new PatchbayError('PATCHBAY_UNAUTHORIZED', fault));
  };
}

/** The account in a request's path; empty if the path has none. */
export function accountOf(request: { readonly params: unknown }): string {
  // Null when the request was refused before its path was parsed.
  const params = request.params as { readonly accountId?: string } | null;
  return params?.accountId ?? '';
}

/** As {@link accountOf}, but also for a request without a route, or whose path cannot be decoded. */
function accountNamed(request: { readonly params: unknown; readonly url: string }): string {
  return accountOf(request) || (ACCOUNT_PATH.exec(request.url)?.[1] ?? '');
}

/** The ids in a request's path, as log lines have them; those that it does not name are absent. */
export function idsNamed(request: { readonly params: unknown; readonly url: string }): {
  readonly account?: string;
  readonly participantId?: string;
  readonly sessionId?: string;
} {
  const account = accountNamed(request);
  const { participantId, sessionId } = (request.params ?? {}) as Partial<Record<string, string>>;
  return {
    ...(account !== '' && { account }),
    ...(participantId !== undefined && { participantId }),
    ...(sessionId !== undefined && { sessionId }),
  };
}

const ACCOUNT_PATH = /^\/+v1\/+accounts\/+([^/?#]+)/;

/** An account and its credentials. */
export interface Account {
  readonly id: string;
  readonly user: string;
  readonly password: string;
}

/**
 * Checks HTTP Basic credentials (RFC 7617). Both sides are hashed and compared in constant time, so timing reveals
 * neither the password, nor its length, nor whether the account exists.
 */
export class Credentials {
  readonly #known = new Map<string, Buffer[]>();
  /** Compared with if there is no such account, so that this takes as long. */
  readonly #nobody = [randomBytes(32)];

  /** @throws RangeError when user and password of an account are too long */
  constructor(accounts: readonly Account[]) {
    for (const { id, user, password } of accounts) {
      const credentials = Buffer.from(`${user}:${password}`);
      if (credentials.length > MAX_BYTES) {
        throw new RangeError(`User and password of account ${id} are longer than ${MAX_BYTES} bytes.`);
      }
      this.#known.set(id, [...(this.#known.get(id) ?? []), digest(credentials)]);
    }
  }

  /** Why an `Authorization` header does not give access to an account, for people; undefined if it does. */
  faultOf(accountId: string, authorization?: string): string | undefined {
    const encoded = BASIC.exec(authorization ?? '')?.[1] ?? '';
    const presented = digest(Buffer.from(encoded, 'base64'));
    if (isAmong(this.#known.get(accountId) ?? this.#nobody, presented)) return undefined;
    if (authorization === undefined) return 'Credentials are missing: send user and password by HTTP Basic.';
    if (encoded === '') return 'The Authorization header is not HTTP Basic with user and password in base64.';
    // A client with valid credentials of some account may learn that they are valid.
    if (isAmong([...this.#known.values()].flat(), presented)) {
      return 'These are the credentials of another account than the one in the path.';
    }
    return 'User or password is wrong.';
  }
}

/** Compares with all of them, so that it takes as long whichever is right. */
function isAmong(known: readonly Buffer[], presented: Buffer): boolean {
  return known.reduce((found, one) => timingSafeEqual(one, presented) || found, false);
}

function digest(credentials: Buffer): Buffer {
  return createHash('sha256').update(credentials).digest();
}

/**
 * Who may read what the gateway tells of itself without credentials. `direct`: clients that connect to it without a
 * proxy. A list: clients with these addresses, by a trusted proxy too.
 */
export type Audience = 'everyone' | 'direct' | 'nobody' | readonly string[];

/** A hook that answers all others as if there were nothing at this path. */
export function readableBy(audience: Audience, clientAddress: ClientAddress): onRequestHookHandler {
  const isListed = typeof audience === 'string' ? undefined : inNetworks(audience);
  return (request, _reply, next) => {
    const forwarded = isForwarded(request);
    const may = (): boolean => {
      if (isListed === undefined) return audience === 'everyone' || (audience === 'direct' && !forwarded);
      const address = clientAddress(request);
      // Forwarded, and yet the peer's own address: its proxy is not trusted, or what it says cannot be believed. The
      // proxy's own address is listed often, since a scraper runs beside it.
      if (forwarded && address === (request.socket.remoteAddress ?? '')) return false;
      return isListed(address);
    };
    next(may() ? undefined : new PatchbayError('PATCHBAY_NOT_FOUND', 'There is no such resource.'));
  };
}
