/** What may come by one path: `burst` at once, `perSecond` for ever, each in messages and in bytes. */
export interface InflowRates {
  readonly messages: InflowRate;
  readonly bytes: InflowRate;
}

interface InflowRate {
  readonly burst: number;
  readonly perSecond: number;
}

/**
 * Counts what comes by one path. The library queues all of it toward our thread, without a bound: whoever sends more
 * than any page has reason to must be cut off.
 */
export class InflowLimit {
  readonly #rates: InflowRates;
  #messages: number;
  #bytes: number;
  #at: number | undefined;

  constructor(rates: InflowRates) {
    this.#rates = rates;
    this.#messages = rates.messages.burst;
    this.#bytes = rates.bytes.burst;
  }

  /** @returns false once there was too much; `now` is in ms */
  admits(bytes: number, now: number): boolean {
    const seconds = Math.max(0, now - (this.#at ?? now)) / 1000;
    this.#at = now;
    this.#messages = refilled(this.#messages, this.#rates.messages, seconds) - 1;
    this.#bytes = refilled(this.#bytes, this.#rates.bytes, seconds) - bytes;
    return this.#messages >= 0 && this.#bytes >= 0;
  }
}

const refilled = (left: number, { burst, perSecond }: InflowRate, seconds: number): number =>
  Math.min(burst, left + perSecond * seconds);
