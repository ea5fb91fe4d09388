import { rtpMarker, rtpSequence, rtpSsrc, rtpTimestamp, sequenceDelta, timestampDelta } from './header.js';

const DIGITS = '0123456789*#ABCD';
const EVENT_LENGTH = 4;
const END = 0x80;
/** A key press whose end packets are lost ends after this much silence (RFC 4733 section 2.6.2 leaves the choice). */
const LOST_END_MS = 120;
/** A packet further behind is not late: its sender started over (RFC 3550 A.1). */
const MAX_MISORDER = 100;
/** Two ends within this time and this many sequence numbers belong to one key press. */
const END_REPEAT_MS = 60;
const END_REPEAT_NUMBERS = 3;
/** Nearly the longest duration of a segment: a smaller one after it begins the next segment (RFC 4733 section 2.5.1.3). */
const NEARLY_FULL = 0xf000;

/** How a packet relates to the key press before it. */
type Relation = 'same' | 'segment' | 'new';

/** Called once for each key press, when it has ended: digit `0-9*#A-D`, duration in ms. */
export type DigitListener = (digit: string, durationMs: number) => void;

/**
 * Reads the telephone events (RFC 4733) of one stream and reports each key press once, when it has ended. By the RFC all
 * packets of a press have one timestamp that no other press has. Many senders advance it within a press, keep it for
 * several, or start over with a lower one. So late packets are recognised by their sequence numbers, and new presses also
 * by marker, duration and end bit.
 */
export class DtmfReceiver {
  readonly #onDigit: DigitListener;
  #event = -1;
  #ssrc = -1;
  #sequence = 0;
  #timestamp = 0;
  /** Duration of the present segment, in timestamp units, and of the segments before it. */
  #duration = 0;
  #segments = 0;
  #clockRate = 8000;
  /** Whether an end packet of the press has come. */
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

  /** Ends a key press whose last packets were lost; call it regularly. */
  poll(nowMs: number): void {
    if (!this.#reported && nowMs - this.#lastAt > LOST_END_MS) this.#report();
  }

  /** A late packet: of the present press, or of one that was reported or given up. */
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
      // A press cannot begin before the last has ended, so a nearer end is a repetition of that one.
      const isNear = (step > 0 && step <= this.#duration) || nowMs - this.#lastAt <= END_REPEAT_MS;
      const isRepeat = isEnd && !marker && !isShorter && isNear && distance <= END_REPEAT_NUMBERS;
      return isRepeat && distance > 0 ? 'same' : 'new';
    }
    if (this.#reported || (marker && duration <= this.#duration)) return 'new';
    if (step === 0xffff || step === this.#duration) return 'segment';
    // A sender that advances the timestamp with each packet advances it by the time that has passed.
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
