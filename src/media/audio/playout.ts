import {
  type AudioCodec,
  type AudioDecoder,
  bestLag,
  MAX_PACKET_MS,
  type SampleRate,
} from '../codecs/index.js';
import { rtpTimestamp, timestampDelta } from '../rtp/index.js';
import { ComfortNoise } from './comfort-noise.js';
import { JitterBuffer, type JitterCounters } from './jitter-buffer.js';

/** Shortest piece worth cutting out, in ms: one period of the highest voice. */
const MIN_CUT_MS = 2.5;

const MAX_CUT_MS = 10;

/** Audio kept in reserve when a stream starts, and when the delay is reduced. */
const RESERVE_MS = 20;
/** A packet later than this counts as a new start of the stream: the reserve is built up again. */
const RESTART_LATE_MS = 100;
/** A larger gap in the timestamps means that the publisher jumped; it is not filled with silence. */
const MAX_GAP_MS = 250;
/** Timestamps of some devices are this inexact; it does not mean a gap. */
const GAP_TOLERANCE_MS = 2;
/** Buffered audio beyond this is dropped at once. */
const MAX_DELAY_MS = 300;
/** After this long without packets, silence replaces concealment. */
const CONCEAL_MS = 100;
/** Delay that no packet needed in this many reads (1 s at 20 ms) is removed... */
const WINDOW_READS = 50;
/** ...if it is at least this long. */
const MIN_EXCESS_MS = 10;
/** This many late packets in a window count as jitter, and the delay grows; fewer are ignored. */
const LATE_LIMIT = 2;
const MAX_GROWTH_MS = 100;

/**
 * Plays one stream at the pace of its reader: packets go in as they arrive, samples come out as requested.
 *
 * The delay adapts. When packets are late, it grows by their lateness; delay that no packet needed for a second is cut
 * out, pitch period by pitch period. That also compensates the drift between the clocks of publisher and reader.
 */
export class Playout {
  readonly #codec: AudioCodec;
  readonly #decoder: AudioDecoder;
  readonly #buffer = new JitterBuffer();
  readonly #rate: SampleRate;
  /** RTP clock units for each ms, and for each sample. */
  readonly #unitsPerMs: number;
  readonly #unitsPerSample: number;
  /** Decoded samples not read yet: `#pcm[#start, #end)`. */
  readonly #pcm: Int16Array;
  #start = 0;
  #end = 0;
  /** Timestamp of the next sample to be decoded, when anchored. */
  #expected = 0;
  #anchored = false;
  /** Timestamp after the newest packet's last sample. */
  #newestEnd = 0;
  /** ms since the last packet was decoded. */
  #idleMs = 0;
  #windowReads = 0;
  /** How long before its turn the latest packet of this window came, in samples. */
  #windowMargin = Infinity;
  #windowLate = 0;
  /** Samples still to be cut out. */
  #excess = 0;
  /** Samples still to be inserted. */
  #missing = 0;
  /** Samples made up so far. */
  #concealed = 0;
  /** Made at the first comfort noise. Since which timestamp it is to be heard; undefined: audio came since. */
  #noise: ComfortNoise | undefined;
  #noiseFrom: number | undefined;
  /** Timestamp after the last decoded packet; undefined before the first. */
  #decodedEnd: number | undefined;

  constructor(codec: AudioCodec, rate: SampleRate) {
    this.#codec = codec;
    this.#rate = rate;
    this.#decoder = codec.createDecoder(rate);
    this.#unitsPerMs = codec.clockRate / 1000;
    this.#unitsPerSample = codec.clockRate / rate;
    this.#pcm = new Int16Array((rate / 1000) * 3 * MAX_PACKET_MS);
  }

  get counters(): Readonly<JitterCounters> {
    return this.#buffer.counters;
  }

  /** Audio made up so far in place of missing packets; silence after a stream's end is none. */
  get concealedMs(): number {
    return (this.#concealed * 1000) / this.#rate;
  }

  /** Level of the comfort noise that is played now, in dBov; undefined: it is none. */
  get noiseDb(): number | undefined {
    return this.#noise && this.#isNoise ? this.#noise.levelDb : undefined;
  }

  /** Buffered audio that is not read yet, in ms; negative while packets are overdue. */
  get delayMs(): number {
    return (this.#levelSamples() * 1000) / this.#rate;
  }

  insert(packet: Buffer, payloadOffset: number, payloadEnd: number): void {
    const empty = this.#buffer.size === 0;
    const inserted = this.#buffer.insert(packet, payloadOffset, payloadEnd);
    if (inserted === 'dropped') return;
    if (inserted === 'restarted') this.#anchored = false;
    const timestamp = rtpTimestamp(packet);
    if (this.#anchored) this.#observe(timestamp, inserted === 'late');
    if (inserted === 'late') return;
    const end = (timestamp + this.#codec.duration(packet, payloadOffset, payloadEnd)) >>> 0;
    if (empty || !this.#anchored || timestampDelta(end, this.#newestEnd) > 0) this.#newestEnd = end;
  }

  /** The publisher sends nothing from a comfort noise packet's timestamp on: this is to be heard until it does (RFC 3389). */
  comfort(packet: Buffer, payloadOffset: number, payloadEnd: number): void {
    const timestamp = rtpTimestamp(packet);
    const isLate = this.#decodedEnd !== undefined && timestampDelta(timestamp, this.#decodedEnd) < 0;
    const isOlder = this.#noiseFrom !== undefined && timestampDelta(timestamp, this.#noiseFrom) < 0;
    if (this.#anchored && (isLate || isOlder)) return;
    this.#noise ??= new ComfortNoise(this.#rate);
    this.#noise.describe(packet, payloadOffset, payloadEnd);
    if (this.#anchored) {
      // Later descriptions of the same noise do not interrupt it.
      this.#noiseFrom ??= timestamp;
      return;
    }
    this.#anchored = true;
    this.#expected = (timestamp - RESERVE_MS * this.#unitsPerMs) >>> 0;
    this.#noiseFrom = this.#expected;
    if (this.#buffer.size === 0) this.#newestEnd = timestamp;
    this.#startWindow();
  }

  /**
   * Takes the next `samples` samples (at most 60 ms) into `out`.
   * @returns false if they are silence because no packets came
   */
  read(out: Int16Array, samples: number): boolean {
    if (!this.#anchored && !this.#anchor()) {
      out.fill(0, 0, samples);
      return false;
    }
    this.#bound();
    this.#adapt();
    while (this.#end - this.#start < samples) this.#produce(samples - (this.#end - this.#start));
    // Element by element: a view to copy from would have to be allocated in every frame.
    for (let i = 0; i < samples; i += 1) out[i] = this.#pcm[this.#start + i]!;
    this.#start += samples;
    if (this.#start === this.#end) {
      this.#start = 0;
      this.#end = 0;
    }
    return this.#idleMs < CONCEAL_MS;
  }

  #levelSamples(): number {
    if (!this.#anchored) return 0;
    return this.#end - this.#start + timestampDelta(this.#newestEnd, this.#expected) / this.#unitsPerSample;
  }

  /** Starts the stream: the reserve's length is played before the first packet. */
  #anchor(): boolean {
    const packet = this.#buffer.peek();
    if (!packet) return false;
    this.#anchored = true;
    this.#expected = (packet.timestamp - RESERVE_MS * this.#unitsPerMs) >>> 0;
    this.#startWindow();
    this.#excess = 0;
    this.#missing = 0;
    return true;
  }

  /** Drops what is too much after a stall of the network or the process. */
  #bound(): void {
    if (this.delayMs <= MAX_DELAY_MS) return;
    let packet = this.#buffer.peek();
    while (packet && timestampDelta(this.#newestEnd, packet.timestamp) > 3 * RESERVE_MS * this.#unitsPerMs) {
      this.#buffer.discard();
      packet = this.#buffer.peek();
    }
    this.#end = this.#start;
    if (packet) this.#expected = packet.timestamp;
    else this.#anchored = false;
  }

  /** Records how long before its turn a packet came. */
  #observe(timestamp: number, late: boolean): void {
    const ahead = timestampDelta(timestamp, this.#expected) / this.#unitsPerSample;
    this.#windowMargin = Math.min(this.#windowMargin, this.#end - this.#start + ahead);
    if (late) this.#windowLate += 1;
  }

  /** Adapts the delay: lengthens it at once, shortens it once in a window. */
  #adapt(): void {
    const perMs = this.#rate / 1000;
    if (this.#windowLate >= LATE_LIMIT) {
      this.#missing = Math.min(MAX_GROWTH_MS * perMs, Math.max(0, Math.ceil(-this.#windowMargin)));
      this.#excess = 0;
      this.#startWindow();
      return;
    }
    this.#windowReads += 1;
    if (this.#windowReads < WINDOW_READS) return;
    const excess = this.#windowMargin - RESERVE_MS * perMs;
    this.#excess = excess >= MIN_EXCESS_MS * perMs && excess < Infinity ? excess : 0;
    this.#startWindow();
  }

  #startWindow(): void {
    this.#windowReads = 0;
    this.#windowMargin = Infinity;
    this.#windowLate = 0;
  }

  /** Appends samples: a decoded packet, or at most `wanted` concealed or silent ones. */
  #produce(wanted: number): void {
    this.#makeRoom();
    if (this.#missing > 0) {
      this.#wait(Math.min(wanted, this.#missing));
      return;
    }
    const packet = this.#buffer.peek();
    const gap = packet ? timestampDelta(packet.timestamp, this.#expected) : 0;
    if (!packet) this.#fill(wanted);
    else if (gap > MAX_GAP_MS * this.#unitsPerMs || gap < -RESTART_LATE_MS * this.#unitsPerMs) this.#anchor();
    else if (gap > GAP_TOLERANCE_MS * this.#unitsPerMs) {
      this.#fill(Math.min(wanted, Math.ceil(gap / this.#unitsPerSample)));
    } else this.#decode(packet.payload, packet.length, packet.timestamp);
  }

  #decode(payload: Buffer, length: number, timestamp: number): void {
    let samples = this.#decoder.decode(payload, 0, length, this.#pcm, this.#end);
    this.#buffer.shift();
    if (samples === 0) {
      // The payload cannot be decoded, so it counts as lost.
      samples = (this.#rate / 1000) * RESERVE_MS;
      this.#conceal(samples);
    }
    this.#end += samples;
    this.#expected = (timestamp + samples * this.#unitsPerSample) >>> 0;
    this.#idleMs = 0;
    this.#decodedEnd = this.#expected;
    if (this.#noiseFrom !== undefined && timestampDelta(timestamp, this.#noiseFrom) >= 0)
      this.#noiseFrom = undefined;
    if (this.#excess <= 0) return;
    const cut = shorten(this.#pcm, this.#start, this.#end, this.#rate);
    this.#end -= cut;
    this.#excess -= cut;
  }

  /** Whether there is noise in place of what is missing now. */
  get #isNoise(): boolean {
    return (
      this.#noiseFrom !== undefined &&
      timestampDelta(this.#expected, this.#noiseFrom) >= -GAP_TOLERANCE_MS * this.#unitsPerMs
    );
  }

  #conceal(samples: number): void {
    if (this.#noise && this.#isNoise) {
      this.#noise.play(this.#pcm, this.#end, samples);
      return;
    }
    this.#decoder.conceal(samples, this.#pcm, this.#end);
    this.#concealed += samples;
  }

  /** Lengthens the delay: plays inserted samples while the stream waits. */
  #wait(samples: number): void {
    this.#conceal(samples);
    this.#end += samples;
    this.#missing -= samples;
  }

  #fill(samples: number): void {
    const isNoise = this.#isNoise;
    if (isNoise || this.#idleMs < CONCEAL_MS) this.#conceal(samples);
    else this.#pcm.fill(0, this.#end, this.#end + samples);
    this.#end += samples;
    this.#expected = (this.#expected + samples * this.#unitsPerSample) >>> 0;
    this.#idleMs = isNoise ? 0 : this.#idleMs + (samples * 1000) / this.#rate;
  }

  #makeRoom(): void {
    if (this.#start === 0) return;
    this.#pcm.copyWithin(0, this.#start, this.#end);
    this.#end -= this.#start;
    this.#start = 0;
  }
}

/**
 * Removes one pitch period from the end of `pcm[start, end)` with a cross-fade, which shortens buffered speech without a
 * click.
 * @returns samples removed; 0 if there are too few to find a period
 */
function shorten(pcm: Int16Array, start: number, end: number, sampleRate: number): number {
  const maxLag = (sampleRate / 1000) * MAX_CUT_MS;
  if (end - start < 2 * maxLag) return 0;
  const lag = bestLag(pcm, Math.round((sampleRate / 1000) * MIN_CUT_MS), maxLag, end);
  const first = end - 2 * lag;
  for (let i = 0; i < lag; i += 1) {
    const share = (i + 1) / (lag + 1);
    pcm[first + i] = Math.round(pcm[first + i]! * (1 - share) + pcm[first + lag + i]! * share);
  }
  return lag;
}
