import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import type { FastifyReply, FastifyRequest, onRequestHookHandler } from 'fastify';
import { PatchbayError } from '../core/index.js';
import { type ClientAddress, inNetworks, isForwarded } from '../shared/index.js';
import {
  CONSOLE_COOKIE,
  type ConsoleSessions,
  crossSite,
  type FailedAttempts,
  isSameOrigin,
  type RefusedAttempt,
  tooManyAttempts,
} from './sign-in/index.js';

/** Most bytes of `user:password` in UTF-8. */
const MAX_BYTES = 508;

/** `Basic` and the credentials in base64, with or without padding (RFC 7617 section 2). */
const BASIC = /^basic +([\w+/=-]+) *$/i;

/** How a request showed whose it is: by HTTP Basic, or by the cookie of the console. */
export type Door = 'basic' | 'console';

interface AuthenticationOptions {
  readonly credentials: Credentials;
  readonly sessions: ConsoleSessions;
  readonly attempts: FailedAttempts;
  readonly clientAddress: ClientAddress;
  /** Credentials were wrong, or were not looked at since too many had been. */
  readonly onRefused: (door: Door, refused: RefusedAttempt) => void;
}

/**
 * Refuses requests without the credentials of the account in the path. The cookie of the console stands for them, unless
 * there is an `Authorization` header, which alone counts then.
 */
export function authentication(options: AuthenticationOptions): onRequestHookHandler {
  const { credentials, sessions } = options;
  const faultOf = (request: FastifyRequest, reply: FastifyReply): PatchbayError | undefined => {
    const { authorization } = request.headers;
    const cookie = request.cookies[CONSOLE_COOKIE];
    if (authorization === undefined && cookie !== undefined) return cookieFault(sessions, request, cookie);
    const refused = refusedBasic(options, request);
    if (typeof refused === 'object') return tooManyAttempts(reply, refused.waitS);
    const fault = credentials.faultOf(accountOf(request), authorization);
    return fault === undefined ? undefined : unauthorized(fault);
  };
  return function authenticate(request, reply, next) {
    const fault = faultOf(request, reply);
    if (fault?.httpStatus === 401 && !isFromPage(request))
      reply.header('www-authenticate', 'Basic realm="Patchbay", charset="UTF-8"');
    next(fault);
  };
}

const unauthorized = (words: string): PatchbayError => new PatchbayError('PATCHBAY_UNAUTHORIZED', words);

function cookieFault(
  sessions: ConsoleSessions,
  request: FastifyRequest,
  cookie: string,
): PatchbayError | undefined {
  const signedIn = sessions.signedIn(cookie);
  if (!signedIn) return unauthorized('You are not signed in any more: sign in again.');
  if (!signedIn.accountIds.includes(accountOf(request)))
    return unauthorized('You are not signed in to the account in the path.');
  const { method } = request;
  return method === 'GET' || method === 'HEAD' || isSameOrigin(request) ? undefined : crossSite();
}

/** Why credentials in HTTP Basic are refused, whichever account they are for. */
function refusedBasic(
  { credentials, attempts, clientAddress, onRefused }: AuthenticationOptions,
  request: FastifyRequest,
): RefusedAttempt | undefined {
  const given = basicCredentials(request.headers.authorization);
  if (given === '') return undefined;
  const [user = ''] = given.split(':', 1);
  const password = given.slice(user.length + 1);
  const isRight = credentials.know(given);
  const refused = attempts.refusal({ address: clientAddress(request), user, password, isRight });
  if (refused !== undefined) onRefused('basic', refused);
  return refused;
}

/** `user:password`; empty if the header is not HTTP Basic. */
const basicCredentials = (authorization = ''): string =>
  Buffer.from(BASIC.exec(authorization)?.[1] ?? '', 'base64').toString();

/**
 * Whether a script in a page made a request. To such a request no answer asks for HTTP Basic: the browser would open a
 * dialog of its own. `EventSource` can send no header to say so, nor do browsers send `Sec-Fetch-Dest` over plain HTTP.
 */
function isFromPage({ headers, cookies }: FastifyRequest): boolean {
  if (headers['x-patchbay-console'] !== undefined || cookies[CONSOLE_COOKIE] !== undefined) return true;
  return headers['sec-fetch-dest'] === 'empty' || headers.accept === 'text/event-stream';
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

  /** Whether `user:password` are those of some account. */
  know(userAndPassword: string): boolean {
    return isAmong([...this.#known.values()].flat(), digest(Buffer.from(userAndPassword)));
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
