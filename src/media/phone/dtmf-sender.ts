const DIGITS = '0123456789*#ABCD';
/** -10 dBm0, the usual level (RFC 4733 section 2.3.3). */
const VOLUME = 10;
const END = 0x80;
/** The last packet goes out three times (RFC 4733 section 2.5.1.4). */
const END_REPEATS = 3;
const GAP_MS = 60;
const MIN_DURATION_MS = 40;
const MAX_DURATION_MS = 6000;
const DEFAULT_DURATION_MS = 100;
/** Digits waiting; more are refused, so that a flood of them ends. */
const MAX_QUEUE = 128;

/** Bytes of an event’s payload (RFC 4733 section 2.3). */
export const DTMF_PAYLOAD_LENGTH = 4;

interface Press {
  readonly event: number;
  readonly durationMs: number;
}

/**
 * Plays queued digits as telephone events (RFC 4733), one packet each time `next` is called. The caller owns time,
 * sequence numbers and the header.
 */
export class DtmfSender {
  readonly #queue: Press[] = [];
  #press: Press | undefined;
  #elapsedMs = 0;
  #ends = 0;
  #gapMs = 0;
  /** Set by `next`: the packet begins a key press, so that it needs the marker bit and a new timestamp. */
  begins = false;

  /** Whether `next` has something to say; audio is left out meanwhile (RFC 4733 section 2.2). */
  get busy(): boolean {
    return this.#press !== undefined || this.#gapMs > 0 || this.#queue.length > 0;
  }

  /**
   * Queues digits; other characters are passed over, as dialled strings contain spaces and dashes.
   * @returns how many digits were taken
   */
  add(digits: string, durationMs = DEFAULT_DURATION_MS): number {
    const bounded = Math.min(MAX_DURATION_MS, Math.max(MIN_DURATION_MS, durationMs));
    let taken = 0;
    for (const digit of digits.toUpperCase()) {
      const event = DIGITS.indexOf(digit);
      if (event < 0 || this.#queue.length >= MAX_QUEUE) continue;
      this.#queue.push({ event, durationMs: bounded });
      taken += 1;
    }
    return taken;
  }

  /**
   * Moves on by `stepMs` and writes the payload that is due.
   * @returns whether there is a packet; false in the pause between two digits
   */
  next(stepMs: number, clockRate: number, out: Buffer, offset: number): boolean {
    this.begins = false;
    if (this.#gapMs > 0) {
      this.#gapMs -= stepMs;
      return false;
    }
    if (!this.#press) {
      this.#press = this.#queue.shift();
      if (!this.#press) return false;
      this.#elapsedMs = 0;
      this.#ends = 0;
      this.begins = true;
    }
    const press = this.#press;
    this.#elapsedMs = Math.min(press.durationMs, this.#elapsedMs + stepMs);
    const ended = this.#elapsedMs >= press.durationMs;
    // Durations beyond 16 bits (1.3 s at 48 kHz) stay at the largest: one segment, one key press.
    const duration = Math.min(0xffff, Math.round((this.#elapsedMs * clockRate) / 1000));
    out[offset] = press.event;
    out[offset + 1] = (ended ? END : 0) | VOLUME;
    out[offset + 2] = duration >>> 8;
    out[offset + 3] = duration & 0xff;
    if (ended) {
      this.#ends += 1;
      if (this.#ends === END_REPEATS) {
        this.#press = undefined;
        this.#gapMs = GAP_MS;
      }
    }
    return true;
  }
}
