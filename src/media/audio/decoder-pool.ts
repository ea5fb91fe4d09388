import { type AudioCodec, findAudioCodec, type SampleRate } from '../codecs/index.js';
import type { PublishedTrack, TrackSink } from '../track.js';
import { Playout } from './playout.js';
import { FRAME_MS } from './mix-clock.js';

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
export class StreamDecoder implements TrackSink {
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
