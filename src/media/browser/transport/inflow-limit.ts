import { type Rate, TokenBucket } from '../../../shared/index.js';

/** What may come by one path, in messages and in bytes. */
interface InflowRates {
  readonly messages: Rate;
  readonly bytes: Rate;
}

/**
 * Counts what comes by one path. The library queues all of it toward our thread, without a bound: whoever sends more
 * than any page has reason to must be cut off.
 */
export class InflowLimit {
  readonly #messages: TokenBucket;
  readonly #bytes: TokenBucket;

  /** @param now in ms */
  constructor({ messages, bytes }: InflowRates, now = performance.now()) {
    this.#messages = new TokenBucket(messages, now);
    this.#bytes = new TokenBucket(bytes, now);
  }

  /** @returns false once there was too much; `now` is in ms */
  admits(bytes: number, now: number): boolean {
    const message = this.#messages.take(now);
    return this.#bytes.take(now, bytes) && message;
  }
}
