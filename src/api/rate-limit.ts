import { PatchbayError } from '../core/index.js';
import { TokenBucket } from '../shared/index.js';
import { accountOf } from './authentication.js';
import type { Api } from './instance.js';

export interface RateLimit {
  readonly requests: number;
  /** Default: 1,000. */
  readonly windowMs?: number;
}

/**
 * Limits the requests of each account. It counts after authentication, so that nobody without the password can use up
 * an account's limit, and so that there are no more buckets than accounts.
 */
export function limitRate(api: Api, { requests, windowMs = 1000 }: RateLimit): void {
  const buckets = new Map<string, TokenBucket>();
  const bucketOf = (account: string): TokenBucket => {
    const known = buckets.get(account);
    if (known) return known;
    const bucket = new TokenBucket(
      { burst: requests, perSecond: (requests / windowMs) * 1000 },
      performance.now(),
    );
    buckets.set(account, bucket);
    return bucket;
  };
  api.addHook('onRequest', (request, reply, next) => {
    const bucket = bucketOf(accountOf(request));
    if (bucket.take(performance.now())) {
      next();
      return;
    }
    const seconds = Math.max(1, Math.ceil(bucket.waitMs(performance.now()) / 1000));
    reply.header('retry-after', seconds);
    next(new PatchbayError('PATCHBAY_TOO_MANY_REQUESTS', `Too many requests; retry in ${seconds} s.`));
  });
}
