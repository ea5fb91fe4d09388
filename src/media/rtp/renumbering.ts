import { nextSequence, rtpSequence, rtpSsrc, rtpTimestamp, sequenceDelta, timestampDelta } from './header.js';

/** Beyond so many numbers ahead of the newest packet, or behind it, the source started over (RFC 3550 A.1). */
const MAX_DROPOUT = 3000;
const MAX_MISORDER = 100;
/** Repeated video packets (RFC 4588) come later; SRTP takes up to 1024 behind. */
const MAX_MISORDER_VIDEO = 1000;
/** So many packets in a row, each the next of the other, do not come late: the source went back a little. */
const LATE_RUN = 10;
/** No packet that the network put out of order is older than so many seconds. */
const MAX_LATE_SECONDS = 6;
/** Timestamps that are further ahead than the time that passed, and so many seconds more, have jumped. */
const MAX_LEAP_SECONDS = 0.25;

/**
 * Gives the packets of one track numbers and timestamps that go on, whatever their source does: a new SSRC, sequence
 * numbers that start elsewhere (RFC 3550 A.1: two in a row), audio timestamps that fall back or leap. SRTP refuses
 * numbers far behind the newest, and browsers play no audio from before what they have played.
 */
export class Renumbering {
  /** What the packet that was taken last is to go out with. */
  sequence = 0;
  timestamp = 0;
  /** Starts of the source after the first. */
  restarts = 0;
  readonly #clockRate: number;
  readonly #isVideo: boolean;
  #ssrc = -1;
  /** Newest sequence number of the source, and the same as it went out. */
  #highest = 0;
  #lastSequence = -1;
  #sequenceShift = 0;
  /** As it went out, of the newest packet that is no event. */
  #lastTimestamp = -1;
  #lastAt = 0;
  #timestampShift = 0;
  /** Between two packets in a row. */
  #step: number;
  /** Follows a packet that did not fit. */
  #strayNext = -1;
  #lateNext = -1;
  #lateRun = 0;
  /** Numbers since the last start: what is older would get one that is taken. */
  #sinceStart = MAX_MISORDER_VIDEO;

  constructor(clockRate: number, kind: 'audio' | 'video') {
    this.#clockRate = clockRate;
    this.#isVideo = kind === 'video';
    this.#step = this.#isVideo ? 1 : clockRate / 50;
  }

  /** Newest number that went out; -1: none. */
  get lastSequence(): number {
    return this.#lastSequence;
  }

  /** Newest timestamp that went out, but for events; -1: none. */
  get lastTimestamp(): number {
    return this.#lastTimestamp;
  }

  /** From the source's timestamps to those that go out. */
  get timestampShift(): number {
    return this.#timestampShift;
  }

  /**
   * Takes a packet. @param isEvent a telephone event, whose timestamp is that of its beginning
   * @returns false when it does not fit and is to be left out
   */
  take(packet: Uint8Array, isEvent: boolean, nowMs: number): boolean {
    const source = rtpSequence(packet);
    const timestamp = rtpTimestamp(packet);
    if (rtpSsrc(packet) !== this.#ssrc) {
      this.#ssrc = rtpSsrc(packet);
      this.#restart(source);
      if (this.#lastTimestamp >= 0) this.#shiftTimestamp(timestamp, nowMs);
      return this.#takeNewest(source, timestamp, isEvent, nowMs);
    }
    const distance = sequenceDelta(source, this.#highest);
    if (distance > 0 && (distance < MAX_DROPOUT || this.#isVideo)) {
      this.#strayNext = -1;
      this.#lateRun = 0;
      this.#follow(distance, timestamp, isEvent, nowMs);
      return this.#takeNewest(source, timestamp, isEvent, nowMs);
    }
    if (!this.#isRestart(source, distance, timestamp, isEvent)) {
      if (!this.#isLate(distance) || -distance > this.#sinceStart) return false;
      this.sequence = (source + this.#sequenceShift) & 0xffff;
      this.timestamp = (timestamp + this.#timestampShift) >>> 0;
      return true;
    }
    this.#restart(source);
    this.#follow(1, timestamp, isEvent, nowMs);
    return this.#takeNewest(source, timestamp, isEvent, nowMs);
  }

  /** The packet taken last is left out, so that no gap is to be seen where it was. */
  leaveOut(): void {
    if (this.sequence !== this.#lastSequence) return;
    this.#lastSequence = (this.#lastSequence - 1) & 0xffff;
    this.#sequenceShift -= 1;
    this.#sinceStart = 0;
  }

  /** Makes room for a packet that is not the source's: `sequence` is its number, the timestamp is the caller's. */
  insert(): void {
    this.#lastSequence = nextSequence(Math.max(0, this.#lastSequence));
    this.#sequenceShift += 1;
    this.#sinceStart = -1;
    this.sequence = this.#lastSequence;
  }

  /** The timestamp of this moment, as it would go out. */
  timestampAt(nowMs: number): number {
    if (this.#lastTimestamp < 0) return 0;
    return (this.#lastTimestamp + this.#elapsed(nowMs)) >>> 0;
  }

  #isLate(distance: number): boolean {
    return distance <= 0 && distance > -(this.#isVideo ? MAX_MISORDER_VIDEO : MAX_MISORDER);
  }

  /** Whether a packet that is not newer than the others shows that the source started over. */
  #isRestart(source: number, distance: number, timestamp: number, isEvent: boolean): boolean {
    if (this.#isLate(distance)) {
      this.#lateRun = source === this.#lateNext ? this.#lateRun + 1 : 1;
      this.#lateNext = nextSequence(source);
      if (this.#isVideo || isEvent) return false;
      if (this.#lateRun >= LATE_RUN) return true;
      const age = timestampDelta(this.#lastTimestamp, timestamp + this.#timestampShift);
      if (age >= 0 && age < MAX_LATE_SECONDS * this.#clockRate) return false;
    }
    if (source === this.#strayNext) return true;
    this.#strayNext = nextSequence(source);
    return false;
  }

  #restart(source: number): void {
    this.#strayNext = -1;
    this.#lateRun = 0;
    this.#highest = (source - 1) & 0xffff;
    if (this.#lastSequence < 0) return;
    this.restarts += 1;
    this.#sequenceShift = nextSequence(this.#lastSequence) - source;
    this.#sinceStart = -1;
  }

  /** Sees to it that the timestamp of the next packet of the source goes on; an event's may be from before. */
  #follow(distance: number, timestamp: number, isEvent: boolean, nowMs: number): void {
    if (this.#isVideo || isEvent || this.#lastTimestamp < 0) return;
    const step = timestampDelta(timestamp + this.#timestampShift, this.#lastTimestamp);
    const longest = this.#elapsed(nowMs) + MAX_LEAP_SECONDS * this.#clockRate + this.#step * distance;
    if (step <= 0 || step > longest) {
      this.#shiftTimestamp(timestamp, nowMs, distance);
    } else if (distance === 1 && step < this.#clockRate / 8) {
      this.#step = step;
    }
  }

  /** A source that stands still is moved on evenly, whatever the network does to its packets. */
  #shiftTimestamp(timestamp: number, nowMs: number, distance = 1): void {
    const elapsed = this.#elapsed(nowMs);
    const even = this.#step * distance;
    const passed = elapsed > 2 * even ? elapsed : even;
    this.#timestampShift = this.#lastTimestamp + passed - timestamp;
  }

  #elapsed(nowMs: number): number {
    return Math.round(((nowMs - this.#lastAt) * this.#clockRate) / 1000);
  }

  #takeNewest(source: number, timestamp: number, isEvent: boolean, nowMs: number): true {
    this.#sinceStart = Math.min(MAX_MISORDER_VIDEO, this.#sinceStart + sequenceDelta(source, this.#highest));
    this.#highest = source;
    this.sequence = (source + this.#sequenceShift) & 0xffff;
    this.timestamp = (timestamp + this.#timestampShift) >>> 0;
    this.#lastSequence = this.sequence;
    if (isEvent) return true;
    this.#lastTimestamp = this.timestamp;
    this.#lastAt = nowMs;
    return true;
  }
}
