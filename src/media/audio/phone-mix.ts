import type { SampleRate } from '../codecs/index.js';
import type { PublishedTrack } from '../track.js';
import type { DecoderPool, StreamDecoder } from './decoder-pool.js';
import { FRAME_MS } from './mix-clock.js';

/** What one phone hears: the saturating sum of the audio tracks delivered to it, at one sample rate. */
export class PhoneMix {
  readonly rate: SampleRate;
  readonly #pool: DecoderPool;
  #sources = new Map<PublishedTrack, StreamDecoder>();
  /** The same decoders as an array: iterating it allocates nothing in a frame. */
  #decoders: readonly StreamDecoder[] = [];
  readonly #sum: Int32Array;

  constructor(pool: DecoderPool, rate: SampleRate) {
    this.#pool = pool;
    this.rate = rate;
    this.#sum = new Int32Array((rate / 1000) * FRAME_MS);
  }

  /** Replaces the tracks. Video, and codecs that cannot be mixed, are left out. */
  setTracks(tracks: readonly PublishedTrack[]): void {
    const sources = new Map<PublishedTrack, StreamDecoder>();
    for (const track of tracks) {
      if (track.kind !== 'audio' || sources.has(track)) continue;
      const decoder = this.#sources.get(track) ?? this.#pool.acquire(track, this.rate);
      if (decoder) sources.set(track, decoder);
    }
    for (const track of this.#sources.keys()) {
      if (!sources.has(track)) this.#pool.release(track, this.rate);
    }
    this.#sources = sources;
    this.#decoders = [...sources.values()];
  }

  /** Writes the 20 ms of a mix frame to `out`, from `offset`. */
  mix(frame: number, out: Int16Array, offset = 0): void {
    const sum = this.#sum;
    const length = sum.length;
    let audible = 0;
    let only: Int16Array | undefined;
    for (const decoder of this.#decoders) {
      const samples = decoder.samples(frame);
      if (!samples) continue;
      audible += 1;
      if (audible === 1) {
        only = samples;
        continue;
      }
      if (audible === 2 && only) for (let i = 0; i < length; i += 1) sum[i] = only[i]!;
      for (let i = 0; i < length; i += 1) sum[i]! += samples[i]!;
    }
    if (audible === 0) out.fill(0, offset, offset + length);
    else if (audible === 1 && only) out.set(only, offset);
    else saturate(sum, out, offset);
  }

  /** Releases all decoders. */
  close(): void {
    this.setTracks([]);
  }
}

function saturate(sum: Int32Array, out: Int16Array, offset: number): void {
  for (let i = 0; i < sum.length; i += 1) {
    const value = sum[i]!;
    out[offset + i] = value > 32767 ? 32767 : value < -32768 ? -32768 : value;
  }
}
