import { type AudioCodec, findAudioCodec, type SampleRate } from '../codecs/index.js';
import type { PublishedTrack, TrackSink } from '../track.js';
import { Leveller } from './leveller.js';
import { FRAME_MS } from './mix-clock.js';
import { Playout } from './playout.js';

interface Entry {
  readonly decoder: StreamDecoder;
  users: number;
}

const keyOf = (rate: SampleRate, levelling: boolean): number => (levelling ? rate : -rate);

/**
 * The decoders in use: one for each track and sample rate (and another where its level stays as it is), attached to its
 * track while a mix uses it.
 */
export class DecoderPool {
  /** By track and {@link keyOf}. */
  readonly #tracks = new Map<PublishedTrack, Map<number, Entry>>();
  /** One for all decoders of a track; lasts as long as the track, so that its level is not forgotten while nobody hears it. */
  readonly #levellers = new WeakMap<PublishedTrack, Leveller>();

  /** Decoders in use. */
  get size(): number {
    let size = 0;
    for (const entries of this.#tracks.values()) size += entries.size;
    return size;
  }

  /** @returns undefined when the track's codec cannot be mixed */
  acquire(track: PublishedTrack, rate: SampleRate, levelling: boolean): StreamDecoder | undefined {
    const codec = findAudioCodec(track.codec.name, track.codec.clockRate);
    if (!codec) return undefined;
    const entries = this.#tracks.get(track) ?? new Map<number, Entry>();
    const known = entries.get(keyOf(rate, levelling));
    if (known) {
      known.users += 1;
      return known.decoder;
    }
    const leveller = this.#levellers.get(track) ?? new Leveller();
    this.#levellers.set(track, leveller);
    const decoder = new StreamDecoder(codec, rate, leveller, levelling);
    entries.set(keyOf(rate, levelling), { decoder, users: 1 });
    this.#tracks.set(track, entries);
    track.attach(decoder);
    return decoder;
  }

  release(track: PublishedTrack, rate: SampleRate, levelling: boolean): void {
    const entries = this.#tracks.get(track);
    const entry = entries?.get(keyOf(rate, levelling));
    if (!entries || !entry) return;
    entry.users -= 1;
    if (entry.users > 0) return;
    track.detach(entry.decoder);
    entries.delete(keyOf(rate, levelling));
    if (entries.size === 0) this.#tracks.delete(track);
  }
}

/** One published audio track as levelled samples at one rate, decoded once however many mixes it is part of. */
export class StreamDecoder implements TrackSink {
  readonly #playout: Playout;
  readonly #rate: SampleRate;
  readonly #leveller: Leveller;
  readonly #isLevelled: boolean;
  readonly #pcm: Int16Array;
  /** Wider than what was decoded, since it is limited only after the sum. */
  readonly #levelled: Int32Array;
  #frame = -1;
  #audible = false;

  constructor(codec: AudioCodec, rate: SampleRate, leveller: Leveller, isLevelled: boolean) {
    this.#playout = new Playout(codec, rate);
    this.#rate = rate;
    this.#leveller = leveller;
    this.#isLevelled = isLevelled;
    this.#pcm = new Int16Array((rate / 1000) * FRAME_MS);
    this.#levelled = new Int32Array(this.#pcm.length);
  }

  onPacket(packet: Buffer, payloadOffset: number, payloadEnd: number, telephoneEvent: boolean): void {
    if (!telephoneEvent) this.#playout.insert(packet, payloadOffset, payloadEnd);
  }

  /**
   * The samples of a mix frame; the same ones for every call with the same number.
   * @returns undefined when the stream is silent; else valid until the next frame is asked for
   */
  samples(frame: number): Int32Array | undefined {
    if (frame !== this.#frame) {
      this.#frame = frame;
      this.#audible = this.#playout.read(this.#pcm, this.#pcm.length);
      this.#leveller.take(frame, this.#audible ? this.#pcm : undefined, this.#rate);
      if (this.#audible) this.#level();
    }
    return this.#audible ? this.#levelled : undefined;
  }

  #level(): void {
    const pcm = this.#pcm;
    const levelled = this.#levelled;
    const { before, gain } = this.#leveller;
    if (!this.#isLevelled || (before === 1 && gain === 1)) {
      for (let i = 0; i < pcm.length; i += 1) levelled[i] = pcm[i]!;
      return;
    }
    const step = (gain - before) / pcm.length;
    let factor = before;
    for (let i = 0; i < pcm.length; i += 1) {
      factor += step;
      levelled[i] = Math.round(pcm[i]! * factor);
    }
  }
}
