import { type Static, Type } from '@sinclair/typebox';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { PatchbayError } from '../../core/index.js';
import type { ClientAddress, Log } from '../../shared/index.js';
import type { Api } from '../instance.js';
import { CONSOLE_COOKIE, type ConsoleSessions, SIGNED_IN_S, type SignedIn } from './console-sessions.js';
import { type FailedAttempts, type RefusedAttempt, tooManyAttempts } from './failed-attempts.js';
import { crossSite, isSameOrigin } from './same-origin.js';

/** What the console is told of the gateway. */
interface ConsoleFacts {
  readonly version: string;
  /** Accounts that may see the whole gateway. */
  readonly operators: readonly string[];
  /** Id of the development account, if that is configured. */
  readonly developmentAccount?: string | undefined;
  /** Where phones call, as `sip:host:port`; absent while no SIP server is known. */
  readonly sipUri?: string | undefined;
}

interface SignInOptions extends ConsoleFacts {
  readonly sessions: ConsoleSessions;
  readonly attempts: FailedAttempts;
  readonly clientAddress: ClientAddress;
  /** Whether a request came by TLS. */
  readonly isSecure: (request: FastifyRequest) => boolean;
  readonly onRefused: (refused: RefusedAttempt) => void;
  readonly log: Log;
}

/** No user and password together are longer (RFC 7617 leaves that to servers; see `Credentials`). */
const MAX_LENGTH = 508;

const SignInBody = Type.Object({
  user: Type.String({ maxLength: MAX_LENGTH }),
  password: Type.String({ maxLength: MAX_LENGTH }),
});

/** Signing in at the console, and out. They are for its page: programs use HTTP Basic. docs/console.md describes them. */
export function signInRoutes(api: Api, options: SignInOptions): void {
  const { sessions, attempts, clientAddress, log } = options;
  const cookieOf = (request: FastifyRequest): string | undefined => request.cookies[CONSOLE_COOKIE];
  const setCookie = (request: FastifyRequest, reply: FastifyReply, value: string, maxAge: number): void => {
    const secure = request.protocol === 'https' || options.isSecure(request);
    reply.setCookie(CONSOLE_COOKIE, value, { path: '/', httpOnly: true, sameSite: 'strict', secure, maxAge });
  };
  // Also signing in: another site could sign a browser in as somebody else, who then sees what is done there.
  api.addHook('onRequest', (request, _reply, next) => {
    next(request.method === 'POST' && !isSameOrigin(request) ? crossSite() : undefined);
  });

  api.post('/console/sign-in', { schema: { hide: true, body: SignInBody } }, (request, reply) => {
    const { user = '', password = '' } =
      (request.body as Partial<Static<typeof SignInBody>> | undefined) ?? {};
    const address = clientAddress(request);
    const holder = sessions.holderOf(user, password);
    const refused = attempts.refusal({ address, user, password, isRight: holder !== undefined });
    if (refused !== undefined || !holder) {
      options.onRefused(refused ?? 'wrong');
      // Not the user: people type passwords there by mistake.
      log.warn({ requestId: request.id, address }, 'A sign-in at the console was refused');
      if (typeof refused !== 'object')
        throw new PatchbayError('PATCHBAY_UNAUTHORIZED', 'User or password is wrong.');
      throw tooManyAttempts(reply, refused.waitS);
    }
    log.info({ requestId: request.id, address, accounts: holder.accountIds }, 'Signed in at the console');
    setCookie(request, reply, sessions.cookieFor(user, password), SIGNED_IN_S);
    return me(holder, options);
  });

  api.post('/console/sign-out', { schema: { hide: true } }, (request, reply) => {
    sessions.signOut(cookieOf(request));
    setCookie(request, reply, '', 0);
    return me(undefined, options);
  });

  api.get('/console/me', { schema: { hide: true } }, (request) =>
    me(sessions.signedIn(cookieOf(request)), options),
  );
}

/** What the page learns of who is signed in; nobody, too. */
function me(
  signedIn: SignedIn | undefined,
  { version, operators, developmentAccount, sipUri }: ConsoleFacts,
): object {
  const accounts = signedIn?.accountIds ?? [];
  return {
    version,
    accounts,
    ...(signedIn && { user: signedIn.user, sipUri }),
    isOperator: accounts.some((id) => operators.includes(id)),
    development: developmentAccount !== undefined && accounts.includes(developmentAccount),
    developmentSignIn: developmentAccount !== undefined,
  };
}
