import { closeSync, openSync, writeSync } from 'node:fs';
import { Resampler } from '../../shared/index.js';
import { type Chunk, SoundError } from './chunk.js';

const RATES = [8_000, 16_000, 24_000, 48_000] as const;
/** Rates of the files that are played. */
export type SoundRate = (typeof RATES)[number];

/** Full scale of 16 bits. */
const FULL_SCALE = 32_768;
/** Input samples, at a rate as low as the output's, that bring the end of the sound out of the resampler's filter. */
const TAIL = 32;

/** The lowest rate at which nothing is lost. */
const rateFor = (rate: number): SoundRate => RATES.find((possible) => possible >= rate) ?? 48_000;

/** Writes sound as signed 16-bit little-endian samples of one channel, at a rate that can be played. */
export class SoundWriter {
  readonly #file: number;
  readonly #maxSeconds: number;
  #resampler: Resampler | undefined;
  #from = 0;
  #rate: SoundRate = 8_000;
  #samples = 0;

  constructor(path: string, maxSeconds: number) {
    this.#file = openSync(path, 'wx', 0o600);
    this.#maxSeconds = maxSeconds;
  }

  /** @throws SoundError */
  write({ rate, channels }: Chunk): void {
    if (!this.#resampler) {
      this.#from = rate;
      this.#rate = rateFor(rate);
      this.#resampler = new Resampler(rate, this.#rate);
    }
    if (rate !== this.#from) throw new SoundError('The sound changes its sample rate.');
    this.#append(mixed(channels));
    if (this.#samples > this.#maxSeconds * this.#rate) {
      throw new SoundError(`The sound is longer than ${this.#maxSeconds} s.`);
    }
  }

  /** @throws SoundError when nothing was written */
  finish(): { readonly rate: SoundRate; readonly samples: number } {
    if (this.#samples === 0) throw new SoundError('There is no sound in it.');
    if (this.#from !== this.#rate)
      this.#append(new Float32Array(Math.ceil(TAIL * Math.max(1, this.#from / this.#rate))));
    closeSync(this.#file);
    return { rate: this.#rate, samples: this.#samples };
  }

  #append(input: Float32Array): void {
    const resampler = this.#resampler!;
    const out = new Int16Array(resampler.room(input.length));
    const written = resampler.process(input, input.length, out);
    const bytes = Buffer.alloc(2 * written);
    for (let i = 0; i < written; i += 1) bytes.writeInt16LE(out[i]!, 2 * i);
    for (let at = 0; at < bytes.length;) at += writeSync(this.#file, bytes, at);
    this.#samples += written;
  }
}

/** One channel of all, in the scale of 16 bits. */
function mixed(channels: readonly Float32Array[]): Float32Array {
  const [first = new Float32Array(0)] = channels;
  const factor = FULL_SCALE / channels.length;
  return first.map((_, i) => channels.reduce((sum, channel) => sum + channel[i]!, 0) * factor);
}
