import { rtpTimestamp } from './header.js';
import { timestampDelta } from './sequence.js';

const DIGITS = '0123456789*#ABCD';
const EVENT_LENGTH = 4;
const END = 0x80;
/** A key press whose end never came is over after so much silence (RFC 4733 section 2.6.2 leaves the choice). */
const LOST_END_MS = 120;

/** Told of each key press when it has ended: digit `0-9*#A-D`, duration in ms. */
export type DigitListener = (digit: string, durationMs: number) => void;

/**
 * Reads the telephone events (RFC 4733) of one stream and reports each key press once, when it has ended: its packets
 * share a timestamp, so that any one of them is enough.
 */
export class DtmfReceiver {
  readonly #onDigit: DigitListener;
  #event = -1;
  #timestamp = 0;
  /** Of the present segment, in timestamp units, and of the segments before it. */
  #duration = 0;
  #segments = 0;
  #clockRate = 8000;
  #reported = true;
  #lastAt = 0;

  constructor(onDigit: DigitListener) {
    this.#onDigit = onDigit;
  }

  /** Takes the payload `packet[start, end)` of a telephone-event packet. */
  onPacket(packet: Buffer, start: number, end: number, clockRate: number, nowMs: number): void {
    if (end - start < EVENT_LENGTH) return;
    const event = packet[start]!;
    if (event >= DIGITS.length) return;
    const timestamp = rtpTimestamp(packet);
    const duration = (packet[start + 2]! << 8) | packet[start + 3]!;
    if (this.#isKnown(event, timestamp)) {
      if (duration > this.#duration) this.#duration = duration;
    } else if (this.#event >= 0 && timestampDelta(timestamp, this.#timestamp) <= 0) {
      return; // A packet of an earlier key press, come late.
    } else if (this.#continues(event, timestamp, duration)) {
      if (duration < this.#duration) this.#segments += this.#duration;
      this.#timestamp = timestamp;
      this.#duration = duration;
    } else {
      this.#report();
      this.#event = event;
      this.#timestamp = timestamp;
      this.#duration = duration;
      this.#segments = 0;
      this.#clockRate = clockRate;
      this.#reported = false;
    }
    this.#lastAt = nowMs;
    if ((packet[start + 1]! & END) !== 0) this.#report();
  }

  /** To be called now and then: ends a key press whose last packets were lost. */
  poll(nowMs: number): void {
    if (!this.#reported && nowMs - this.#lastAt > LOST_END_MS) this.#report();
  }

  #isKnown(event: number, timestamp: number): boolean {
    return event === this.#event && timestamp === this.#timestamp;
  }

  /**
   * Whether a packet with another timestamp is the same key press: the next segment of a long one (RFC 4733 section
   * 2.5.1.3), or a sender that moves the timestamp on with each packet.
   */
  #continues(event: number, timestamp: number, duration: number): boolean {
    if (this.#reported || event !== this.#event) return false;
    const distance = timestampDelta(timestamp, this.#timestamp);
    return distance === 0xffff || distance === this.#duration || duration > this.#duration;
  }

  #report(): void {
    if (this.#reported) return;
    this.#reported = true;
    const units = this.#segments + this.#duration;
    this.#onDigit(DIGITS[this.#event]!, Math.round((units * 1000) / this.#clockRate));
  }
}
