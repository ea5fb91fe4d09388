import { type Rate, TokenBucket } from '../../../shared/index.js';

/** How much may come by one transport, in messages and in bytes. */
interface InflowRates {
  readonly messages: Rate;
  readonly bytes: Rate;
}

/**
 * Limits what comes by one transport. The library queues all of it for our thread without a bound, so a browser
 * that sends more than any page needs must be cut off.
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
