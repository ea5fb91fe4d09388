import { type AudioCodec, type AudioDecoder, MAX_PACKET_MS, type SampleRate } from '../codecs/index.js';
import { rtpTimestamp, timestampDelta } from '../rtp/index.js';
import { Arrivals } from './arrivals.js';
import { ComfortNoise } from './comfort-noise.js';
import { JitterBuffer, type JitterCounters } from './jitter-buffer.js';
import { MIN_PIECE_MS, TimeScale } from './time-scale.js';

/** Audio kept in reserve when a stream starts. */
const RESERVE_MS = 20;
/** A packet later than this counts as a new start of the stream: the reserve is built up again. */
const RESTART_LATE_MS = 100;
/** A larger gap in the timestamps means that the publisher jumped; it is not filled with silence. */
const MAX_GAP_MS = 250;
/** Timestamps of some devices are this inexact; it does not mean a gap. */
const GAP_TOLERANCE_MS = 2;
/** Room for a burst of a second. When more is buffered, the oldest is dropped... */
const MAX_DELAY_MS = 1250;
/** ...until this much is left: one gap instead of many. */
const KEPT_MS = 1000;
/** After this long without packets, silence replaces concealment. */
const CONCEAL_MS = 100;
/** Up to this much superfluous delay there is time to wait for places where a cut is not heard, and between cuts... */
const MILD_MS = 60;
const MILD_PAUSE_MS = 60;
const MILD_SIMILARITY = 0.9;
/** ...from this much on any place will do, and half of the speech may be cut out. */
const URGENT_MS = 200;
/** Where no period can be cut out, another place is tried so much later. */
const RETRY_MS = 10;
/** Concealment into which what comes after dropped audio fades. */
const SEAM_MS = 5;

/**
 * Plays one stream at the pace of its reader: packets go in as they arrive, samples come out as requested.
 *
 * The delay adapts. When packets are late, it grows by their lateness; delay that no packet needed for 1.2 s is cut out,
 * pitch period by pitch period, or in pauses of the speech: faster, the more it is. That also compensates the drift
 * between the clocks of publisher and reader. Bursts of a second are played whole.
 */
export class Playout {
  readonly #codec: AudioCodec;
  readonly #decoder: AudioDecoder;
  readonly #buffer = new JitterBuffer();
  readonly #now: () => number;
  readonly #arrivals: Arrivals;
  readonly #timeScale: TimeScale;
  readonly #rate: SampleRate;
  readonly #perMs: number;
  /** RTP clock units for each ms, and for each sample. */
  readonly #unitsPerMs: number;
  readonly #unitsPerSample: number;
  /** Decoded samples not read yet: `#pcm[#start, #end)`. */
  readonly #pcm: Int16Array;
  #start = 0;
  #end = 0;
  /** Nothing is cut out before this place in `#pcm`; it may be ahead of `#end`. */
  #uncut = 0;
  /** Timestamp of the next sample to be decoded, when anchored. */
  #expected = 0;
  #anchored = false;
  /** Timestamp after the newest packet's last sample. */
  #newestEnd = 0;
  /** ms since the last packet was decoded. */
  #idleMs = 0;
  /** Samples made up so far. */
  #concealed = 0;
  /** Made at the first comfort noise. Since which timestamp it is to be heard; undefined: audio came since. */
  #noise: ComfortNoise | undefined;
  #noiseFrom: number | undefined;
  /** Timestamp after the last decoded packet; undefined before the first. */
  #decodedEnd: number | undefined;

  /** @param now monotonic time in ms, by which packets come and reads are made */
  constructor(codec: AudioCodec, rate: SampleRate, now: () => number = () => performance.now()) {
    this.#codec = codec;
    this.#rate = rate;
    this.#perMs = rate / 1000;
    this.#decoder = codec.createDecoder(rate);
    this.#now = now;
    this.#arrivals = new Arrivals(rate, now);
    this.#timeScale = new TimeScale(rate);
    this.#unitsPerMs = codec.clockRate / 1000;
    this.#unitsPerSample = codec.clockRate / rate;
    this.#pcm = new Int16Array(this.#perMs * 3 * MAX_PACKET_MS);
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
    if (this.#anchored) {
      const before = this.#gapBefore(timestamp) / this.#unitsPerSample;
      this.#arrivals.observe(Math.floor(this.#end - this.#start + before));
    }
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
    this.#arrivals.reset();
  }

  /**
   * Takes the next `samples` samples (at most 60 ms) into `out`.
   * @param at the time, where many streams are read at once
   * @returns false if they are silence because no packets came
   */
  read(out: Int16Array, samples: number, at = this.#now()): boolean {
    this.#arrivals.read(samples, at);
    if (!this.#anchored && !this.#anchor()) {
      out.fill(0, 0, samples);
      return false;
    }
    this.#bound();
    do {
      while (this.#end - this.#start < samples) this.#produce(samples - (this.#end - this.#start));
    } while (this.#adapt(samples));
    // Element by element: a view to copy from would have to be allocated in every frame.
    for (let i = 0; i < samples; i += 1) out[i] = this.#pcm[this.#start + i]!;
    this.#start += samples;
    if (this.#start === this.#end) this.#makeRoom();
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
    this.#arrivals.reset();
    return true;
  }

  /** Drops what is too much after a stall of the network or the process. */
  #bound(): void {
    if (this.delayMs <= MAX_DELAY_MS) return;
    let packet = this.#buffer.peek();
    while (packet && timestampDelta(this.#newestEnd, packet.timestamp) > KEPT_MS * this.#unitsPerMs) {
      this.#buffer.discard();
      packet = this.#buffer.peek();
    }
    if (!packet) {
      this.#end = this.#start;
      this.#anchored = false;
      return;
    }
    this.#makeRoom();
    this.#skip(this.#gapBefore(packet.timestamp) / this.#unitsPerSample);
    const seam = SEAM_MS * this.#perMs;
    this.#conceal(seam);
    this.#end += seam;
    this.#arrivals.moved(seam);
  }

  /** Goes on so many samples later in the stream; negative: earlier, which lengthens the delay. */
  #skip(samples: number): void {
    if (samples === 0) return;
    this.#expected = (this.#expected + samples * this.#unitsPerSample) >>> 0;
    this.#arrivals.moved(-Math.floor(samples));
  }

  /**
   * Brings the delay nearer to what is needed, by a piece of the speech that begins within the next samples.
   * @returns whether there may be more to cut out
   */
  #adapt(samples: number): boolean {
    if (this.#arrivals.shortage > 0) this.#lengthen();
    const { spare } = this.#arrivals;
    if (spare < MIN_PIECE_MS * this.#perMs) return false;
    this.#makeRoom();
    if (this.#uncut >= samples) return false;
    // Long periods are found only in as much as two of them.
    while (this.#end < this.#uncut + this.#timeScale.enough) {
      const packet = this.#buffer.peek();
      if (!packet || Math.abs(this.#gapBefore(packet.timestamp)) > GAP_TOLERANCE_MS * this.#unitsPerMs) break;
      this.#decode(packet.payload, packet.length, packet.timestamp);
    }
    return this.#shorten(spare);
  }

  #lengthen(): void {
    this.#makeRoom();
    const from = this.#uncut;
    if (from >= this.#end) return;
    const similarity = this.#timeScale.isQuiet(this.#pcm, from, this.#end) ? 0 : MILD_SIMILARITY;
    const added = this.#timeScale.lengthen(this.#pcm, from, this.#end, similarity);
    this.#end += added;
    this.#uncut += added > 0 ? 2 * added : RETRY_MS * this.#perMs;
    this.#arrivals.moved(added);
  }

  /** Cuts a piece out of the decoded samples. */
  #shorten(spare: number): boolean {
    const from = this.#uncut;
    if (from >= this.#end) return false;
    const spareMs = spare / this.#perMs;
    const isQuiet = this.#timeScale.isQuiet(this.#pcm, from, this.#end);
    const similarity = (MILD_SIMILARITY * (URGENT_MS - Math.max(MILD_MS, spareMs))) / (URGENT_MS - MILD_MS);
    const cut = isQuiet
      ? this.#timeScale.shortenQuiet(this.#pcm, from, this.#end, spare)
      : this.#timeScale.shorten(this.#pcm, from, this.#end, spare, Math.max(0, similarity));
    if (cut === 0) {
      if (!isQuiet) this.#uncut += (spareMs < MILD_MS ? MILD_PAUSE_MS : RETRY_MS) * this.#perMs;
      return false;
    }
    this.#end -= cut;
    this.#arrivals.moved(-cut);
    const pause = spareMs >= URGENT_MS ? 0 : spareMs >= MILD_MS ? cut : MILD_PAUSE_MS * this.#perMs;
    // The seam is not cut again.
    this.#uncut += isQuiet ? this.#timeScale.quietFade : cut + pause;
    return true;
  }

  /** How much is missing before a packet, in RTP clock units; negative: it is overdue. */
  #gapBefore(timestamp: number): number {
    return timestampDelta(timestamp, this.#expected);
  }

  /** Appends samples: a decoded packet, or at most `wanted` concealed or silent ones. */
  #produce(wanted: number): void {
    this.#makeRoom();
    const packet = this.#buffer.peek();
    const gap = packet ? this.#gapBefore(packet.timestamp) : 0;
    if (!packet) this.#fill(wanted);
    else if (gap > MAX_GAP_MS * this.#unitsPerMs || gap < -RESTART_LATE_MS * this.#unitsPerMs) this.#anchor();
    else if (gap > GAP_TOLERANCE_MS * this.#unitsPerMs) {
      this.#bridge(wanted, Math.ceil(gap / this.#unitsPerSample));
    } else this.#decode(packet.payload, packet.length, packet.timestamp);
  }

  /** Fills a gap before a packet that is there; less of it when the delay is to be reduced and nothing is heard. */
  #bridge(wanted: number, gap: number): void {
    const isSilent = this.#isNoise || this.#idleMs >= CONCEAL_MS;
    const spare = isSilent ? Math.min(gap, this.#arrivals.spare) : 0;
    if (spare > 0) this.#skip(spare);
    else this.#fill(Math.min(wanted, gap));
  }

  #decode(payload: Buffer, length: number, timestamp: number): void {
    let samples = this.#decoder.decode(payload, 0, length, this.#pcm, this.#end);
    this.#buffer.shift();
    if (samples === 0) {
      // The payload cannot be decoded, so it counts as lost.
      samples = this.#perMs * RESERVE_MS;
      this.#conceal(samples);
    }
    this.#timeScale.hear(this.#pcm, this.#end, this.#end + samples);
    this.#skip(this.#gapBefore(timestamp) / this.#unitsPerSample);
    this.#end += samples;
    this.#expected = (timestamp + samples * this.#unitsPerSample) >>> 0;
    this.#idleMs = 0;
    this.#decodedEnd = this.#expected;
    if (this.#noiseFrom !== undefined && timestampDelta(timestamp, this.#noiseFrom) >= 0)
      this.#noiseFrom = undefined;
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
    this.#uncut = Math.max(0, this.#uncut - this.#start);
    this.#start = 0;
  }
}
