import { nextSequence, rtpSequence, rtpSsrc, rtpTimestamp, sequenceDelta, timestampDelta } from './header.js';

/** If a number is further ahead of the newest packet, or further behind, the source started over (RFC 3550 A.1). */
const MAX_DROPOUT = 3000;
const MAX_MISORDER = 100;
/** Retransmitted video packets (RFC 4588) come later; SRTP accepts up to 1024 behind. */
const MAX_MISORDER_VIDEO = 1000;
/** A number further ahead than this is behind (RFC 1982). */
const HALF_CYCLE = 0x8000;
/** This many old packets in a row, with successive numbers, are not late: the source went back a little. */
const LATE_RUN = 10;
/** The network delays no packet by more than this many seconds. */
const MAX_LATE_SECONDS = 6;
/** A timestamp has jumped if it is ahead by this many seconds more than the time that has passed. */
const MAX_LEAP_SECONDS = 0.25;

/**
 * Gives the packets of one track continuous sequence numbers and timestamps, whatever their source does: a new SSRC,
 * sequence numbers that start elsewhere (RFC 3550 A.1: two in a row), audio timestamps that jump. This is needed since
 * SRTP refuses numbers far behind the newest, and browsers play no audio that is older than what they have played.
 */
export class Renumbering {
  /** Sequence number and timestamp for the packet that was taken last. */
  sequence = 0;
  timestamp = 0;
  /** How often the source started over. */
  restarts = 0;
  readonly #clockRate: number;
  readonly #isVideo: boolean;
  #ssrc = -1;
  /** Newest sequence number of the source, and what it was sent as. */
  #highest = 0;
  #lastSequence = -1;
  #sequenceShift = 0;
  /** Numbers after the last packet that was sent, of packets that are missing before one that was left out. */
  #unsent = 0;
  /** Timestamp sent with the newest packet that is no event. */
  #lastTimestamp = -1;
  #lastAt = 0;
  #timestampShift = 0;
  /** Timestamp units between two successive packets. */
  #step: number;
  /** The number after a packet that did not fit. */
  #strayNext = -1;
  #lateNext = -1;
  #lateRun = 0;
  /** Numbers since the last start. An older packet would get a number that is used already. */
  #sinceStart = MAX_MISORDER_VIDEO;

  constructor(clockRate: number, kind: 'audio' | 'video') {
    this.#clockRate = clockRate;
    this.#isVideo = kind === 'video';
    this.#step = this.#isVideo ? 1 : clockRate / 50;
  }

  /** Newest number that was sent; -1: none. */
  get lastSequence(): number {
    return this.#lastSequence;
  }

  /** Newest timestamp that was sent, except for events; -1: none. */
  get lastTimestamp(): number {
    return this.#lastTimestamp;
  }

  /** What is added to the source's timestamps. */
  get timestampShift(): number {
    return this.#timestampShift;
  }

  /**
   * Takes a packet. @param isEvent a telephone event, whose timestamp is that of its beginning
   * @returns false if it does not fit and must be dropped
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
    const longest = this.#isVideo ? HALF_CYCLE - this.#unsent : MAX_DROPOUT;
    if (distance > 0 && distance < longest) {
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

  /** Drops the packet taken last without a gap in the numbers. */
  leaveOut(): void {
    if (this.sequence !== this.#lastSequence) return;
    this.#lastSequence = (this.#lastSequence - 1) & 0xffff;
    this.#sequenceShift -= 1;
    this.#sinceStart = -1;
  }

  /**
   * Leaves out a packet without a payload, by which browsers probe the network: without a gap in the numbers, and without
   * an effect on the timestamps, as it repeats the one of the packet before.
   */
  skip(packet: Uint8Array): void {
    const source = rtpSequence(packet);
    const distance = rtpSsrc(packet) === this.#ssrc ? sequenceDelta(source, this.#highest) : 0;
    if (distance <= 0 || distance >= MAX_DROPOUT) return;
    const gap = this.#unsent + distance < MAX_DROPOUT ? distance - 1 : 0;
    this.#highest = source;
    this.#unsent += gap;
    this.#lastSequence = (this.#lastSequence + gap) & 0xffff;
    this.#sequenceShift = this.#lastSequence - source;
    this.#sinceStart = -1;
  }

  /** Makes room for a packet that is not from the source. Its number is `sequence`; the caller chooses the timestamp. */
  insert(): void {
    this.#lastSequence = nextSequence(Math.max(0, this.#lastSequence));
    this.#sequenceShift += 1;
    this.#sinceStart = -1;
    this.sequence = this.#lastSequence;
  }

  /** The timestamp for a packet sent now. */
  timestampAt(nowMs: number): number {
    if (this.#lastTimestamp < 0) return 0;
    return (this.#lastTimestamp + this.#elapsed(nowMs)) >>> 0;
  }

  #isLate(distance: number): boolean {
    return distance <= 0 && distance > -(this.#isVideo ? MAX_MISORDER_VIDEO : MAX_MISORDER);
  }

  /** Whether a packet with an old number shows that the source started over. */
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

  /** Keeps timestamps continuous with the source's next packet. An event's timestamp may be older. */
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

  /** If the source's timestamps stand still, they are advanced evenly. */
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
    this.#unsent = 0;
    if (isEvent) return true;
    this.#lastTimestamp = this.timestamp;
    this.#lastAt = nowMs;
    return true;
  }
}
