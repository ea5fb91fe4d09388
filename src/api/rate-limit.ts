import rateLimit from '@fastify/rate-limit';
import { PatchbayError } from '../core/index.js';
import { accountOf } from './authentication.js';
import type { Api } from './instance.js';

/** How many requests an account may make in a window of time. */
export interface RateLimit {
  readonly requests: number;
  /** Default: 1,000. */
  readonly windowMs?: number;
}

/**
 * Bounds the requests of each account. It counts after authentication, so that nobody without the password
 * can use up an account's share.
 */
export function limitRate(api: Api, { requests, windowMs = 1000 }: RateLimit): void {
  api.register(rateLimit, {
    max: requests,
    timeWindow: windowMs,
    keyGenerator: accountOf,
    addHeadersOnExceeding: {
      'x-ratelimit-limit': false,
      'x-ratelimit-remaining': false,
      'x-ratelimit-reset': false,
    },
    errorResponseBuilder: (_request, { after }) =>
      new PatchbayError('PATCHBAY_TOO_MANY_REQUESTS', `Too many requests; come back in ${after}.`),
  });
}
