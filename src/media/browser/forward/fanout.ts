import { randomInt } from 'node:crypto';
import {
  MAX_FORWARDED_PACKET,
  PacketScratch,
  Renumbering,
  RTP_FIXED_HEADER,
  rtpMarker,
  toNtp,
  writeRtpHeader,
} from '../../rtp/index.js';
import type { ClockReading, PublishedTrack, TrackSink } from '../../track.js';
import { type ForwardedCodec, forwardedCodec } from '../codecs.js';
import { type Downlink, SEND_TIME_BLOCK, writeSendTime } from './downlink.js';
import { beginsKeyFrame } from './key-frames.js';

/** Packets kept, a power of two: about three seconds of video at 2.5 Mbit/s. */
const SLOTS = 1024;

const MAX_PACKET = 1500;

const scratch = new PacketScratch();
/** A second one, since a kept picture may be sent while a packet is being forwarded. */
const pictureScratch = new PacketScratch();

/** The SSRCs of a track for its subscribers: unique in the plane, and so in every subscriber's session. */
interface FanoutSources {
  readonly ssrc: number;
  readonly rtxSsrc: number;
}

/**
 * Forwards one published track to its subscribers. Each packet is rewritten once, with our SSRC and payload
 * type and without the publisher's header extensions, and all subscribers get the same bytes.
 */
export class TrackFanout implements TrackSink {
  readonly track: PublishedTrack;
  readonly codec: ForwardedCodec;
  readonly ssrc: number;
  readonly rtxSsrc: number;
  /** Length in bytes of the header of the packets that go out. */
  readonly headerLength: number;
  readonly #history: RetransmissionBuffer | undefined;
  #downlinks: readonly Downlink[] = [];
  readonly #numbers: Renumbering;
  #restarts = 0;
  #keyFrameTimestamp = -1;

  constructor(track: PublishedTrack, codec: ForwardedCodec, sources: FanoutSources) {
    this.track = track;
    this.codec = codec;
    this.ssrc = sources.ssrc;
    this.rtxSsrc = sources.rtxSsrc;
    this.#numbers = new Renumbering(codec.clockRate, track.kind);
    this.#history = track.kind === 'video' ? new RetransmissionBuffer() : undefined;
    this.headerLength = RTP_FIXED_HEADER + (track.kind === 'video' ? SEND_TIME_BLOCK : 0);
  }

  get idle(): boolean {
    return this.#downlinks.length === 0;
  }

  get wantsAudio(): boolean {
    const downlinks = this.#downlinks;
    for (let i = 0; i < downlinks.length; i += 1) if (downlinks[i]!.isReady) return true;
    return false;
  }

  add(downlink: Downlink): void {
    this.#downlinks = [...this.#downlinks, downlink];
  }

  remove(downlink: Downlink): void {
    this.#downlinks = this.#downlinks.filter((other) => other !== downlink);
  }

  onPacket(packet: Buffer, payloadOffset: number, payloadEnd: number, telephoneEvent: boolean): void {
    const payloadLength = payloadEnd - payloadOffset;
    const length = this.headerLength + payloadLength;
    if (length > MAX_FORWARDED_PACKET) return;
    const payloadType = telephoneEvent ? this.codec.telephoneEventPayloadType : this.codec.payloadType;
    if (payloadType === undefined) return;
    if (payloadLength === 0 && this.track.kind === 'audio') {
      this.#numbers.skip(packet);
      return;
    }
    if (!this.#numbers.take(packet, telephoneEvent, performance.now())) return;
    if (this.#restarts !== this.#numbers.restarts) this.#onRestart();
    const { sequence, timestamp } = this.#numbers;
    const copy = scratch.view(length);
    writeRtpHeader(copy, payloadType, rtpMarker(packet), sequence, timestamp, this.ssrc);
    packet.copy(copy, this.headerLength, payloadOffset, payloadEnd);
    if (this.#history) this.#prepareVideo(this.#history, copy, sequence, timestamp);
    const inKeyFrame = timestamp === this.#keyFrameTimestamp;
    const downlinks = this.#downlinks;
    for (let i = 0; i < downlinks.length; i += 1) {
      downlinks[i]!.forward(copy, payloadLength, telephoneEvent, inKeyFrame);
    }
  }

  /** Called once a second: asks the publisher for the bit rate that its subscribers can take. */
  adaptBitrate(): void {
    const open = this.#downlinks.filter((downlink) => downlink.open);
    const full = open.filter((downlink) => downlink.full);
    const counted = full.length > 0 ? full : open;
    this.track.limitBitrate(this, {
      bitsPerSecond: counted.map(({ limit }) => limit),
      thinned: full.length === 0,
    });
  }

  onClock(reading: ClockReading): void {
    const shifted = this.#shifted(reading);
    for (const downlink of this.#downlinks) downlink.report(shifted);
  }

  /** The publisher's last clock reading, in the timestamps that subscribers see. */
  get clock(): ClockReading | undefined {
    const { clock } = this.track;
    return clock && this.#shifted(clock);
  }

  /**
   * Called every few seconds: sends reports (RFC 3550 section 6.4) by our clock if the publisher sends none.
   */
  reportOwnClock(): void {
    if (this.track.clock || this.#numbers.lastTimestamp < 0) return;
    const now = performance.now();
    const { seconds, fraction } = toNtp(performance.timeOrigin + now);
    const rtpTimestamp = this.#numbers.timestampAt(now);
    for (const downlink of this.#downlinks) {
      downlink.report({ ntpSeconds: seconds, ntpFraction: fraction, rtpTimestamp });
    }
  }

  /** Sequence number of the newest packet, sent or only kept. */
  get newestSequence(): number {
    const { lastSequence } = this.#numbers;
    return lastSequence >= 0 ? lastSequence : (this.track.picture?.newestSequence ?? 0);
  }

  /** Timestamp of that packet. */
  get newestTimestamp(): number {
    const { lastTimestamp } = this.#numbers;
    return lastTimestamp >= 0 ? lastTimestamp : (this.track.picture?.newestTimestamp ?? 0);
  }

  /** The timestamp of this moment. */
  timestampAt(nowMs: number): number {
    if (this.#numbers.lastTimestamp >= 0) return this.#numbers.timestampAt(nowMs);
    const { newestTimestamp = 0, newestAt = nowMs } = this.track.picture ?? {};
    return (newestTimestamp + Math.round(((nowMs - newestAt) * this.codec.clockRate) / 1000)) >>> 0;
  }

  /** A packet of the kept picture with these numbers, valid until the next call. */
  picturePacket(index: number, sequence: number, timestamp: number): Buffer {
    const picture = this.track.picture!;
    const payload = picture.payload(index);
    const packet = pictureScratch.view(this.headerLength + payload.length);
    writeRtpHeader(packet, this.codec.payloadType, picture.marker(index), sequence, timestamp, this.ssrc);
    payload.copy(packet, this.headerLength);
    writeSendTime(packet, performance.now());
    return packet;
  }

  /** A packet sent before, valid until the next one is forwarded. */
  packet(sequence: number): Buffer | undefined {
    return this.#history?.find(sequence);
  }

  #shifted(reading: ClockReading): ClockReading {
    return { ...reading, rtpTimestamp: (reading.rtpTimestamp + this.#numbers.timestampShift) >>> 0 };
  }

  #prepareVideo(history: RetransmissionBuffer, packet: Buffer, sequence: number, timestamp: number): void {
    if (beginsKeyFrame(this.codec.name, packet, this.headerLength, packet.length)) {
      this.#keyFrameTimestamp = timestamp;
    }
    writeSendTime(packet, performance.now());
    history.store(sequence, packet);
  }

  /** Packets were left out until it was certain that the publisher had started over. */
  #onRestart(): void {
    this.#restarts = this.#numbers.restarts;
    if (this.track.kind === 'video') this.track.requestKeyFrame();
  }
}

/** The last packets of a track, for subscribers that lost some. Slots are made as they are first needed. */
class RetransmissionBuffer {
  readonly #sequences = new Int32Array(SLOTS).fill(-1);
  readonly #lengths = new Uint16Array(SLOTS);
  readonly #slots: (Buffer | undefined)[] = new Array<Buffer | undefined>(SLOTS).fill(undefined);

  /** Copies a packet; one that is too long is not kept. */
  store(sequence: number, packet: Buffer): void {
    if (packet.length > MAX_PACKET) return;
    const index = sequence & (SLOTS - 1);
    const slot = (this.#slots[index] ??= Buffer.allocUnsafeSlow(MAX_PACKET));
    packet.copy(slot);
    this.#sequences[index] = sequence;
    this.#lengths[index] = packet.length;
  }

  /** The packet with that sequence number, valid until the next {@link store}. */
  find(sequence: number): Buffer | undefined {
    const index = sequence & (SLOTS - 1);
    if (this.#sequences[index] !== sequence) return undefined;
    return this.#slots[index]!.subarray(0, this.#lengths[index]);
  }
}

const TICK_MS = 1_000;

/** Ticks between sender reports for tracks whose publisher sends none. */
const REPORT_TICKS = 5;

/** The fan-outs of all tracks that browsers receive now. */
export class FanoutTable {
  readonly #fanouts = new Map<PublishedTrack, { readonly fanout: TrackFanout; users: number }>();
  readonly #ssrcs = new Set<number>();
  #timer: NodeJS.Timeout | undefined;
  #ticks = 0;

  /** The track's fan-out, to be given back by {@link release}; undefined when its codec is not forwarded. */
  acquire(track: PublishedTrack): TrackFanout | undefined {
    const known = this.#fanouts.get(track);
    if (known) {
      known.users += 1;
      return known.fanout;
    }
    const codec = forwardedCodec(track.kind, track.codec);
    if (!codec) return undefined;
    const fanout = new TrackFanout(track, codec, { ssrc: this.#newSsrc(), rtxSsrc: this.#newSsrc() });
    this.#fanouts.set(track, { fanout, users: 1 });
    track.attach(fanout);
    this.#timer ??= setInterval(() => this.#tick(), TICK_MS).unref();
    return fanout;
  }

  release(fanout: TrackFanout): void {
    const entry = this.#fanouts.get(fanout.track);
    if (entry?.fanout !== fanout) return;
    entry.users -= 1;
    if (entry.users > 0) return;
    fanout.track.detach(fanout);
    fanout.track.limitBitrate(fanout, undefined);
    this.#fanouts.delete(fanout.track);
    this.#ssrcs.delete(fanout.ssrc);
    this.#ssrcs.delete(fanout.rtxSsrc);
    if (this.#fanouts.size > 0) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  #tick(): void {
    this.#ticks += 1;
    for (const { fanout } of this.#fanouts.values()) {
      if (fanout.track.kind === 'video') fanout.adaptBitrate();
      if (this.#ticks % REPORT_TICKS === 0) fanout.reportOwnClock();
    }
  }

  #newSsrc(): number {
    for (;;) {
      const ssrc = randomInt(1, 2 ** 32);
      if (this.#ssrcs.has(ssrc)) continue;
      this.#ssrcs.add(ssrc);
      return ssrc;
    }
  }
}
