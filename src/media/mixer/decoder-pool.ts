import { findAudioCodec } from '../codecs/index.js';
import type { SampleRate } from '../codecs/index.js';
import type { PublishedTrack } from '../track.js';
import { StreamDecoder } from './stream-decoder.js';

interface Entry {
  readonly decoder: StreamDecoder;
  users: number;
}

/** The decoders in use: one for each track and sample rate, attached to its track while somebody uses it. */
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
