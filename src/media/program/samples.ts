import { FRAME_MS, type MixFormat } from '../audio/index.js';
import type { AudioEncoder, SampleRate } from '../codecs/index.js';
import { Resampler } from '../../shared/index.js';
import type { ProgramRate } from '../types.js';

/** The rate of the mix, or decoder, that a program's samples are made of. */
export function sourceRate(rate: ProgramRate): SampleRate {
  return rate === 24_000 ? 48_000 : rate;
}

/** The format of a program's mix: samples as programs get them, converted once for all that hear the same. */
export function programFormat(rate: ProgramRate): MixFormat {
  const isConverted = rate !== sourceRate(rate);
  return {
    codec: {
      name: 'samples',
      // The filter's memory of a millisecond is copied where it matters, and not heard where it does not.
      encoderMemory: 'none',
      createEncoder: () => (isConverted ? new ConvertingWriter(rate) : { encode: writeSamples }),
    },
    rate: sourceRate(rate),
    fmtp: undefined,
    ptime: FRAME_MS,
    key: `samples ${rate}`,
  };
}

/** Writes samples as signed 16-bit little-endian numbers. @returns the number of bytes */
export function writeSamples(pcm: Int16Array, samples: number, out: Buffer, offset: number): number {
  for (let i = 0, at = offset; i < samples; i += 1, at += 2) {
    const sample = pcm[i]!;
    out[at] = sample & 0xff;
    out[at + 1] = (sample >> 8) & 0xff;
  }
  return 2 * samples;
}

class ConvertingWriter implements AudioEncoder {
  readonly #resampler: Resampler;
  readonly #pcm: Int16Array;

  constructor(rate: ProgramRate) {
    this.#resampler = new Resampler(sourceRate(rate), rate);
    this.#pcm = new Int16Array(this.#resampler.room((sourceRate(rate) / 1000) * FRAME_MS));
  }

  encode(pcm: Int16Array, samples: number, out: Buffer, offset: number): number {
    return writeSamples(this.#pcm, this.#resampler.process(pcm, samples, this.#pcm), out, offset);
  }

  follow(other: AudioEncoder): void {
    if (other instanceof ConvertingWriter) this.#resampler.follow(other.#resampler);
  }
}
