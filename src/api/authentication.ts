import type { onRequestHookHandler } from 'fastify';
import { PatchbayError } from '../core/index.js';
import type { Credentials } from './credentials.js';

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
  const { params } = request;
  return typeof params === 'object' &&
    params !== null &&
    'accountId' in params &&
    typeof params.accountId === 'string'
    ? params.accountId
    : '';
}
