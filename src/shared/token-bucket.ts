/** `burst` tokens at once, and `perSecond` in the long run. */
export interface Rate {
  readonly burst: number;
  readonly perSecond: number;
}

/** A token bucket. Its methods get the time, in ms. */
export class TokenBucket {
  readonly #rate: Rate;
  #tokens: number;
  #at: number;

  constructor(rate: Rate, now: number) {
    this.#rate = rate;
    this.#tokens = rate.burst;
    this.#at = now;
  }

  /** @returns whether there were enough tokens; otherwise none is taken */
  take(now: number, amount = 1): boolean {
    this.#refill(now);
    if (this.#tokens < amount) return false;
    this.#tokens -= amount;
    return true;
  }

  /** @returns ms until so many tokens are there, if nobody else takes any */
  waitMs(now: number, amount = 1): number {
    this.#refill(now);
    return Math.max(0, ((amount - this.#tokens) / this.#rate.perSecond) * 1000);
  }

  isFull(now: number): boolean {
    this.#refill(now);
    return this.#tokens >= this.#rate.burst;
  }

  #refill(now: number): void {
    const elapsed = Math.max(0, now - this.#at);
    this.#at = now;
    this.#tokens = Math.min(this.#rate.burst, this.#tokens + (elapsed / 1000) * this.#rate.perSecond);
  }
}

/** Searching a full table for idle keys takes time, so it is not done for each new key. */
const SWEEP_EVERY_MS = 1_000;

interface KeyedBucketsOptions {
  /** Default: 20,000. */
  readonly maxKeys?: number;
  /**
   * What happens to a new key when the table is full of busy ones: it is refused, or it replaces the oldest key.
   * Default: `refuse`.
   */
  readonly whenFull?: 'refuse' | 'forget-oldest';
}

/** A bucket for each key, in a table of limited size. */
export class KeyedBuckets {
  readonly #rate: Rate;
  readonly #maxKeys: number;
  readonly #whenFull: 'refuse' | 'forget-oldest';
  readonly #buckets = new Map<string, TokenBucket>();
  #sweptAt = Number.NEGATIVE_INFINITY;

  constructor(rate: Rate, { maxKeys = 20_000, whenFull = 'refuse' }: KeyedBucketsOptions = {}) {
    this.#rate = rate;
    this.#maxKeys = maxKeys;
    this.#whenFull = whenFull;
  }

  take(key: string, now: number): boolean {
    return (this.#buckets.get(key) ?? this.#add(key, now))?.take(now) ?? false;
  }

  get size(): number {
    return this.#buckets.size;
  }

  #add(key: string, now: number): TokenBucket | undefined {
    if (!this.#makeRoom(now)) return undefined;
    const bucket = new TokenBucket(this.#rate, now);
    this.#buckets.set(key, bucket);
    return bucket;
  }

  #makeRoom(now: number): boolean {
    if (this.#buckets.size < this.#maxKeys) return true;
    if (this.#whenFull === 'forget-oldest') {
      for (const oldest of this.#buckets.keys()) {
        this.#buckets.delete(oldest);
        break;
      }
    } else this.#dropIdle(now);
    return this.#buckets.size < this.#maxKeys;
  }

  #dropIdle(now: number): void {
    if (now - this.#sweptAt < SWEEP_EVERY_MS) return;
    this.#sweptAt = now;
    for (const [key, bucket] of this.#buckets) if (bucket.isFull(now)) this.#buckets.delete(key);
  }
}
