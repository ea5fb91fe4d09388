import { BoundedMap } from './bounded-map.js';

/** How many messages one source address may send. */
export interface RateLimitOptions {
  readonly perSecond: number;
  readonly burst: number;
}

const MAX_SOURCES = 50_000;

/** A token bucket for each source address. */
export class RateLimit {
  readonly #options: RateLimitOptions;
  readonly #buckets = new BoundedMap<string, { tokens: number; at: number }>(MAX_SOURCES);

  constructor(options: RateLimitOptions) {
    this.#options = options;
  }

  /** Takes a token for one message at `now` (milliseconds); false when there is none left. */
  take(source: string, now: number): boolean {
    const { perSecond, burst } = this.#options;
    const bucket = this.#buckets.get(source);
    if (!bucket) {
      this.#buckets.set(source, { tokens: burst - 1, at: now });
      return true;
    }
    bucket.tokens = Math.min(burst, bucket.tokens + ((now - bucket.at) / 1000) * perSecond);
    bucket.at = now;
    if (bucket.tokens < 1) return false;
    bucket.tokens--;
    return true;
  }
}
