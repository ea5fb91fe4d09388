import { type AudioCodec, findAudioCodec, type SampleRate } from '../codecs/index.js';
import type { PublishedTrack, TrackSink } from '../track.js';
import { FRAME_MS } from './mix-clock.js';
import { Playout } from './playout.js';

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

interface Entry {
  readonly decoder: StreamDecoder;
  users: number;
}

/** The decoders in use: one for each track and sample rate, attached to its track while a mix uses it. */
export class DecoderPool {
  readonly #entries = new Map<PublishedTrack, Map<SampleRate, Entry>>();

  /** Decoders in use. */
  get size(): number {
    let size = 0;
    for (const byRate of this.#entries.values()) size += byRate.size;
    return size;
  }

  /** @returns undefined when the track's codec cannot be mixed */
  acquire(track: PublishedTrack, rate: SampleRate): StreamDecoder | undefined {
    const byRate = this.#entries.get(track) ?? new Map<SampleRate, Entry>();
    const known = byRate.get(rate);
    if (known) {
      known.users += 1;
      return known.decoder;
    }
    const codec = findAudioCodec(track.codec.name, track.codec.clockRate);
    if (!codec) return undefined;
    const decoder = new StreamDecoder(codec, rate);
    byRate.set(rate, { decoder, users: 1 });
    this.#entries.set(track, byRate);
    track.attach(decoder);
    return decoder;
  }

  release(track: PublishedTrack, rate: SampleRate): void {
    const byRate = this.#entries.get(track);
    const entry = byRate?.get(rate);
    if (!byRate || !entry) return;
    entry.users -= 1;
    if (entry.users > 0) return;
    track.detach(entry.decoder);
    byRate.delete(rate);
    if (byRate.size === 0) this.#entries.delete(track);
  }
}

/** One published audio track as samples at one rate, decoded once however many mixes it is part of. */
class StreamDecoder implements TrackSink {
  readonly #playout: Playout;
  readonly #pcm: Int16Array;
  #frame = -1;
  #audible = false;

  constructor(codec: AudioCodec, rate: SampleRate) {
    this.#playout = new Playout(codec, rate);
    this.#pcm = new Int16Array((rate / 1000) * FRAME_MS);
  }

  onPacket(packet: Buffer, payloadOffset: number, payloadEnd: number, telephoneEvent: boolean): void {
    if (!telephoneEvent) this.#playout.insert(packet, payloadOffset, payloadEnd);
  }

  /**
   * The samples of a mix frame; the same ones for every call with the same number.
   * @returns undefined when the stream is silent; else valid until the next frame is asked for
   */
  samples(frame: number): Int16Array | undefined {
    if (frame !== this.#frame) {
      this.#frame = frame;
      this.#audible = this.#playout.read(this.#pcm, this.#pcm.length);
    }
    return this.#audible ? this.#pcm : undefined;
  }
}
