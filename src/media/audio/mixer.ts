import type { SampleRate } from '../codecs/index.js';
import type { PublishedTrack } from '../track.js';
import { Limiter, peakOf } from './limiter.js';
import { FRAME_MS } from './mix-clock.js';
import type { DecoderPool, StreamDecoder } from './stream-decoder.js';

/** What one phone hears: the sum of the audio tracks delivered to it, at one sample rate, limited to full scale. */
export class PhoneMix {
  readonly rate: SampleRate;
  readonly #pool: DecoderPool;
  #levelling = true;
  #sources = new Map<PublishedTrack, StreamDecoder>();
  /** The same decoders as an array: iterating it allocates nothing in a frame. */
  #decoders: readonly StreamDecoder[] = [];
  readonly #sum: Int32Array;
  readonly #limiter = new Limiter();

  constructor(pool: DecoderPool, rate: SampleRate) {
    this.#pool = pool;
    this.rate = rate;
    this.#sum = new Int32Array((rate / 1000) * FRAME_MS);
  }

  /**
   * Replaces the tracks. Video, and codecs that cannot be mixed, are left out.
   * @param levelling whether the talkers' levels are evened
   */
  setTracks(tracks: readonly PublishedTrack[], levelling = this.#levelling): void {
    const known = levelling === this.#levelling ? this.#sources : new Map<PublishedTrack, StreamDecoder>();
    const sources = new Map<PublishedTrack, StreamDecoder>();
    for (const track of tracks) {
      if (track.kind !== 'audio' || sources.has(track)) continue;
      const decoder = known.get(track) ?? this.#pool.acquire(track, this.rate, levelling);
      if (decoder) sources.set(track, decoder);
    }
    for (const [track, decoder] of this.#sources) {
      if (sources.get(track) !== decoder) this.#pool.release(track, this.rate, this.#levelling);
    }
    this.#levelling = levelling;
    this.#sources = sources;
    this.#decoders = [...sources.values()];
  }

  /** Writes the 20 ms of a mix frame to `out`, from `offset`. */
  mix(frame: number, out: Int16Array, offset = 0): void {
    const sum = this.#sum;
    let audible = 0;
    for (const decoder of this.#decoders) {
      const samples = decoder.samples(frame);
      if (!samples) continue;
      audible += 1;
      if (audible === 1) for (let i = 0; i < sum.length; i += 1) sum[i] = samples[i]!;
      else for (let i = 0; i < sum.length; i += 1) sum[i]! += samples[i]!;
    }
    if (audible === 0) sum.fill(0);
    this.#limiter.limit(sum, peakOf(sum), out, offset);
  }

  /** Releases all decoders. */
  close(): void {
    this.setTracks([]);
  }
}
