import {
  type AudioCodec,
  type AudioDecoder,
  bestLag,
  MAX_PACKET_MS,
  type SampleRate,
} from '../codecs/index.js';
import { rtpTimestamp, timestampDelta } from '../rtp/index.js';
import { JitterBuffer, type JitterCounters } from './jitter-buffer.js';

/** Shortest piece worth cutting out, in ms: one period of the highest voice. */
const MIN_CUT_MS = 2.5;

const MAX_CUT_MS = 10;

/** Audio kept in reserve when a stream starts, and left in reserve when delay is taken back. */
const RESERVE_MS = 20;
/** A packet later than this is not a late one but a new start: the reserve is built up again. */
const RESTART_LATE_MS = 100;
/** A gap in the timestamps beyond this is a publisher that jumped, not silence to be filled. */
const MAX_GAP_MS = 250;
/** Timestamps of sloppy devices may be off by this much without meaning a gap. */
const GAP_TOLERANCE_MS = 2;
/** Buffered audio beyond this is thrown away at once. */
const MAX_DELAY_MS = 300;
/** Without packets for so long, silence is given instead of concealment. */
const CONCEAL_MS = 100;
/** Delay that no packet needed for so many reads (1 s at 20 ms) is taken back... */
const WINDOW_READS = 50;
/** ...when it is worth a cut. */
const MIN_EXCESS_MS = 10;
/** So many packets too late in a window are jitter to be waited for; fewer are counted and forgotten. */
const LATE_LIMIT = 2;
const MAX_GROWTH_MS = 100;

/**
 * Plays one stream at the pace of its reader: packets in as the network brings them, samples out as many as asked for.
 *
 * The delay adapts by itself. When packets are late, the delay grows by their lateness; what no packet needed for a
 * second is cut out again, pitch period by pitch period. That also takes up the drift between the publisher's clock
 * and the reader's.
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
  /** The shortest time, in samples, by which a packet of this window came before it was needed. */
  #windowMargin = Infinity;
  #windowLate = 0;
  /** Samples to be cut out. */
  #excess = 0;
  /** Samples to be put in. */
  #missing = 0;

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

  /** Audio buffered and not read yet, in ms; negative while packets are overdue. */
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

  /**
   * Takes the next `samples` samples (at most 60 ms) into `out`.
   * @returns whether they are anything but silence for want of packets
   */
  read(out: Int16Array, samples: number): boolean {
    if (!this.#anchored && !this.#anchor()) {
      out.fill(0, 0, samples);
      return false;
    }
    this.#bound();
    this.#adapt();
    while (this.#end - this.#start < samples) this.#produce(samples - (this.#end - this.#start));
    // Element by element: a view to copy from would be garbage in every frame.
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

  /** Starts playing the reserve's length before the first packet. */
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

  /** Throws away what a stalled network or process delivered all at once. */
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

  /** Notes how long before its turn a packet came. */
  #observe(timestamp: number, late: boolean): void {
    const ahead = timestampDelta(timestamp, this.#expected) / this.#unitsPerSample;
    this.#windowMargin = Math.min(this.#windowMargin, this.#end - this.#start + ahead);
    if (late) this.#windowLate += 1;
  }

  /** Decides what to do about the delay: wait longer at once, shorter once in a window. */
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

  /** Appends some samples: a decoded packet, or at most `wanted` made up ones. */
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
      // Not this codec's, whatever its payload type says: as good as lost.
      samples = (this.#rate / 1000) * RESERVE_MS;
      this.#decoder.conceal(samples, this.#pcm, this.#end);
    }
    this.#end += samples;
    this.#expected = (timestamp + samples * this.#unitsPerSample) >>> 0;
    this.#idleMs = 0;
    if (this.#excess <= 0) return;
    const cut = shorten(this.#pcm, this.#start, this.#end, this.#rate);
    this.#end -= cut;
    this.#excess -= cut;
  }

  /** Makes the delay longer: the listener gets samples, the stream stays where it is. */
  #wait(samples: number): void {
    this.#decoder.conceal(samples, this.#pcm, this.#end);
    this.#end += samples;
    this.#missing -= samples;
  }

  #fill(samples: number): void {
    if (this.#idleMs < CONCEAL_MS) this.#decoder.conceal(samples, this.#pcm, this.#end);
    else this.#pcm.fill(0, this.#end, this.#end + samples);
    this.#end += samples;
    this.#expected = (this.#expected + samples * this.#unitsPerSample) >>> 0;
    this.#idleMs += (samples * 1000) / this.#rate;
  }

  #makeRoom(): void {
    if (this.#start === 0) return;
    this.#pcm.copyWithin(0, this.#start, this.#end);
    this.#end -= this.#start;
    this.#start = 0;
  }
}

/**
 * Takes one pitch period out of the end of `pcm[start, end)`, cross-fading over the seam, so that buffered speech
 * becomes shorter without a click.
 * @returns samples removed, 0 when there is too little to find a period in
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
