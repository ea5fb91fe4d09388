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
  // Null when the request was refused before its path was looked at.
  const params = request.params as { readonly accountId?: string } | null;
  return params?.accountId ?? '';
}

/** As {@link accountOf}; also of a request for which there is no route, or whose path cannot be decoded. */
export function accountNamed(request: { readonly params: unknown; readonly url: string }): string {
  return accountOf(request) || (ACCOUNT_PATH.exec(request.url)?.[1] ?? '');
}

const ACCOUNT_PATH = /^\/+v1\/+accounts\/+([^/?#]+)/;
