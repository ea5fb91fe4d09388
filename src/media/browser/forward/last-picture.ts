import {
  rtpMarker,
  rtpSequence,
  rtpSsrc,
  rtpTimestamp,
  sequenceDelta,
  timestampDelta,
} from '../../rtp/index.js';
import type { KeptPicture } from '../../track.js';
import { beginsKeyFrame } from './key-frames.js';

/** Most packets (a power of two) and bytes of one track that are kept. */
const MAX_PACKETS = 1024;
const MAX_BYTES = 1024 * 1024;
const MAX_PAYLOAD = 1500;
/** A publisher that has once paused for this long may stop again, and for good. */
const PAUSE_MS = 1_000;
/** Shortest time between requests for key frames, which cost the publisher bandwidth. */
const ASK_PAUSE_MS = 10_000;
/** If the buffer took this long to fill, another key frame costs little in comparison. */
const SLOW_MS = 30_000;

/**
 * Keeps a video track's packets from its last key frame on. Browsers encode nothing, not even a requested key
 * frame, while a canvas is not drawn on or a video is paused: a new subscriber then gets these packets.
 */
export class LastPicture implements KeptPicture {
  newestAt = -Infinity;
  newestSequence = -1;
  newestTimestamp = -1;
  ssrc = -1;
  /** Counts key frames: what was read of the picture before is void when it changes. */
  generation = 0;
  readonly #codec: string;
  readonly #requestKeyFrame: () => void;
  readonly #sequences = new Int32Array(MAX_PACKETS).fill(-1);
  readonly #timestamps = new Uint32Array(MAX_PACKETS);
  readonly #markers = new Uint8Array(MAX_PACKETS);
  readonly #lengths = new Uint16Array(MAX_PACKETS);
  readonly #payloads = new Array<Buffer | undefined>(MAX_PACKETS).fill(undefined);
  /** Sequence number and timestamp of the key frame's first packet; -1 when nothing is kept. */
  #first = -1;
  #firstTimestamp = 0;
  #firstAt = 0;
  #bytes = 0;
  #hasPaused = false;
  #askedAt = -Infinity;

  /**
   * @param codec as SDP names it @param requestKeyFrame asks the publisher for another key frame when too
   * much came to keep
   */
  constructor(codec: string, requestKeyFrame: () => void) {
    this.#codec = codec.toUpperCase();
    this.#requestKeyFrame = requestKeyFrame;
  }

  /** Takes a packet of the track, repeated ones included. */
  onPacket(packet: Buffer, payloadOffset: number, payloadEnd: number, nowMs: number): void {
    const [sequence, timestamp] = [rtpSequence(packet), rtpTimestamp(packet)];
    if (rtpSsrc(packet) !== this.ssrc) this.#follow(rtpSsrc(packet));
    const isNewest = this.newestSequence < 0 || sequenceDelta(sequence, this.newestSequence) > 0;
    const isBegin = beginsKeyFrame(this.#codec, packet, payloadOffset, payloadEnd);
    if (isBegin) this.#begin(sequence, timestamp, isNewest, nowMs);
    if (isNewest) {
      const paused = nowMs - this.newestAt;
      [this.newestAt, this.newestSequence, this.newestTimestamp] = [nowMs, sequence, timestamp];
      if (paused >= PAUSE_MS && paused < Infinity) this.#resumed(isBegin, nowMs);
    }
    this.#store(packet, payloadOffset, payloadEnd, nowMs);
  }

  /** Packets from the key frame to the newest; 0 when one of them is missing. */
  get count(): number {
    if (this.#first < 0) return 0;
    const count = sequenceDelta(this.newestSequence, this.#first) + 1;
    for (let i = 0; i < count; i += 1) {
      if (this.#sequences[this.#slot(i)] !== ((this.#first + i) & 0xffff)) return 0;
    }
    return count;
  }

  payload(index: number): Buffer {
    const slot = this.#slot(index);
    return this.#payloads[slot]!.subarray(0, this.#lengths[slot]);
  }

  timestamp(index: number): number {
    return this.#timestamps[this.#slot(index)]!;
  }

  marker(index: number): boolean {
    return this.#markers[this.#slot(index)] === 1;
  }

  #slot(index: number): number {
    return (this.#first + index) & (MAX_PACKETS - 1);
  }

  #follow(ssrc: number): void {
    this.ssrc = ssrc;
    this.newestSequence = -1;
    this.#forget();
  }

  #forget(): void {
    this.generation += 1;
    this.#first = -1;
    this.#bytes = 0;
    this.#sequences.fill(-1);
  }

  /** Several packets of one picture may look like its beginning: parameter sets, slices, spatial layers. */
  #begin(sequence: number, timestamp: number, isNewest: boolean, nowMs: number): void {
    if (this.#first >= 0) {
      const later = timestampDelta(timestamp, this.#firstTimestamp);
      if (later < 0 || (later === 0 && sequenceDelta(sequence, this.#first) > 0)) return;
    }
    // A repeated first packet comes after others of its picture.
    if (isNewest) this.#forget();
    else if (this.#first < 0) this.#ask(nowMs);
    this.generation += 1;
    [this.#first, this.#firstTimestamp, this.#firstAt, this.#bytes] = [sequence, timestamp, nowMs, 0];
    const behind = isNewest ? 0 : sequenceDelta(this.newestSequence, sequence);
    for (let i = 1; i <= behind && i < MAX_PACKETS; i += 1) this.#bytes += this.#lengths[this.#slot(i)]!;
  }

  #store(packet: Buffer, payloadOffset: number, payloadEnd: number, nowMs: number): void {
    if (this.#first < 0) return;
    const sequence = rtpSequence(packet);
    const [index, length] = [sequenceDelta(sequence, this.#first), payloadEnd - payloadOffset];
    if (index < 0) return;
    if (index >= MAX_PACKETS || length > MAX_PAYLOAD || this.#bytes + length > MAX_BYTES) {
      this.#overflow(nowMs);
      return;
    }
    const slot = this.#slot(index);
    if (this.#sequences[slot] === sequence) return;
    packet.copy((this.#payloads[slot] ??= Buffer.allocUnsafeSlow(MAX_PAYLOAD)), 0, payloadOffset, payloadEnd);
    this.#sequences[slot] = sequence;
    this.#timestamps[slot] = rtpTimestamp(packet);
    this.#markers[slot] = rtpMarker(packet) ? 1 : 0;
    this.#lengths[slot] = length;
    this.#bytes += length;
  }

  /**
   * A camera never pauses and needs no kept picture: only publishers that have paused or send little are
   * asked for a key frame.
   */
  #overflow(nowMs: number): void {
    const wasSlow = nowMs - this.#firstAt >= SLOW_MS;
    this.#forget();
    this.#payloads.fill(undefined);
    if (wasSlow || this.#hasPaused) this.#ask(nowMs);
  }

  #resumed(isBegin: boolean, nowMs: number): void {
    this.#hasPaused = true;
    if (this.#first < 0 && !isBegin) this.#ask(nowMs);
  }

  #ask(nowMs: number): void {
    if (nowMs - this.#askedAt < ASK_PAUSE_MS) return;
    this.#askedAt = nowMs;
    this.#requestKeyFrame();
  }
}
