import { RateLimiter } from 'limiter';
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
 * can use up an account's share, and so that there are no more limiters than accounts.
 */
export function limitRate(api: Api, { requests, windowMs = 1000 }: RateLimit): void {
  const limiters = new Map<string, RateLimiter>();
  const limiterOf = (account: string): RateLimiter => {
    const known = limiters.get(account);
    if (known) return known;
    const limiter = new RateLimiter({ tokensPerInterval: requests, interval: windowMs });
    limiters.set(account, limiter);
    return limiter;
  };
  api.addHook('onRequest', (request, reply, next) => {
    const limiter = limiterOf(accountOf(request));
    if (limiter.tryRemoveTokens(1)) {
      next();
      return;
    }
    const seconds = Math.max(1, Math.ceil(limiter.getWaitTime(1) / 1000));
    reply.header('retry-after', seconds);
    next(new PatchbayError('PATCHBAY_TOO_MANY_REQUESTS', `Too many requests; come back in ${seconds} s.`));
  });
}
