import { rtpMarker, rtpSequence, rtpSsrc, rtpTimestamp, sequenceDelta, timestampDelta } from './header.js';

const DIGITS = '0123456789*#ABCD';
const EVENT_LENGTH = 4;
const END = 0x80;
/** A key press whose end never came is over after so much silence (RFC 4733 section 2.6.2 leaves the choice). */
const LOST_END_MS = 120;
/** Further behind, a packet does not come late: its sender started over (RFC 3550 A.1). */
const MAX_MISORDER = 100;
/** Two ends with so little time and so few numbers between them are of one key press. */
const END_REPEAT_MS = 60;
const END_REPEAT_NUMBERS = 3;
/** Longest duration that a segment can have, or nearly: a smaller one then begins the next (RFC 4733 section 2.5.1.3). */
const NEARLY_FULL = 0xf000;

/** What a packet has to do with the key press before it. */
type Relation = 'same' | 'segment' | 'new';

/** Told of each key press when it has ended: digit `0-9*#A-D`, duration in ms. */
export type DigitListener = (digit: string, durationMs: number) => void;

/**
 * Reads the telephone events (RFC 4733) of one stream and reports each key press once, when it has ended. By the RFC
 * the packets of a press share a timestamp that no other press has. Many senders move it on within a press, or keep
 * it for several, or start over with a lower one: what is late is told by the sequence number, and what is new by the
 * marker, the duration and the end bit as well.
 */
export class DtmfReceiver {
  readonly #onDigit: DigitListener;
  #event = -1;
  #ssrc = -1;
  #sequence = 0;
  #timestamp = 0;
  /** Of the present segment, in timestamp units, and of the segments before it. */
  #duration = 0;
  #segments = 0;
  #clockRate = 8000;
  /** An end of the press came. */
  #ended = false;
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
    const isEnd = (packet[start + 1]! & END) !== 0;
    const distance = rtpSsrc(packet) === this.#ssrc ? sequenceDelta(rtpSequence(packet), this.#sequence) : 1;
    if (this.#event >= 0 && distance <= 0 && distance > -MAX_MISORDER) {
      this.#takeLate(event, timestamp, duration, isEnd);
      return;
    }
    const relation = this.#relationOf(event, timestamp, duration, isEnd, rtpMarker(packet), distance, nowMs);
    if (relation === 'new') {
      this.#report();
      this.#event = event;
      this.#segments = 0;
      this.#clockRate = clockRate;
      this.#ended = false;
      this.#reported = false;
      this.#duration = duration;
    } else if (relation === 'segment') {
      if (duration < this.#duration) this.#segments += this.#duration;
      this.#duration = duration;
    } else if (duration > this.#duration) {
      this.#duration = duration;
    }
    this.#timestamp = timestamp;
    this.#ssrc = rtpSsrc(packet);
    this.#sequence = rtpSequence(packet);
    this.#lastAt = nowMs;
    if (!isEnd) return;
    this.#ended = true;
    this.#report();
  }

  /** To be called now and then: ends a key press whose last packets were lost. */
  poll(nowMs: number): void {
    if (!this.#reported && nowMs - this.#lastAt > LOST_END_MS) this.#report();
  }

  /** A packet from before the newest one: of the present press, or of one that is told or given up. */
  #takeLate(event: number, timestamp: number, duration: number, isEnd: boolean): void {
    if (event !== this.#event || timestamp !== this.#timestamp || this.#reported) return;
    if (duration > this.#duration) this.#duration = duration;
    if (!isEnd) return;
    this.#ended = true;
    this.#report();
  }

  #relationOf(
    event: number,
    timestamp: number,
    duration: number,
    isEnd: boolean,
    marker: boolean,
    distance: number,
    nowMs: number,
  ): Relation {
    if (event !== this.#event) return 'new';
    const step = timestampDelta(timestamp, this.#timestamp);
    const isShorter = duration < this.#duration;
    if (step === 0) {
      if (isEnd) return 'same';
      if (isShorter && !this.#ended && !marker && this.#duration >= NEARLY_FULL) return 'segment';
      return isShorter || (marker && this.#ended) ? 'new' : 'same';
    }
    if (this.#ended) {
      // No press begins before the one before it has ended: an end that is nearer is the same one again.
      const isNear = (step > 0 && step <= this.#duration) || nowMs - this.#lastAt <= END_REPEAT_MS;
      const isRepeat = isEnd && !marker && !isShorter && isNear && distance <= END_REPEAT_NUMBERS;
      return isRepeat && distance > 0 ? 'same' : 'new';
    }
    if (this.#reported || (marker && duration <= this.#duration)) return 'new';
    if (step === 0xffff || step === this.#duration) return 'segment';
    // A sender that moves the timestamp on with each packet does so by the time that passes.
    const passed = ((nowMs - this.#lastAt + END_REPEAT_MS) * this.#clockRate) / 1000;
    return !isShorter && step > 0 && step <= passed ? 'same' : 'new';
  }

  #report(): void {
    if (this.#reported) return;
    this.#reported = true;
    const units = this.#segments + this.#duration;
    this.#onDigit(DIGITS[this.#event]!, Math.round((units * 1000) / this.#clockRate));
  }
}
