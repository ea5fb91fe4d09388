import { MAX_PACKET_MS } from './codec.js';
import type { AudioDecoder, SampleRate } from './codec.js';
import { Concealer } from './concealer.js';
import { Upsampler } from './upsampler.js';

/** Turns a payload into samples at the codec's own rate, written from `at`; returns how many. */
export type Expand = (packet: Buffer, start: number, end: number, out: Int16Array, at: number) => number;

/** Decoder for codecs without loss concealment and with one rate of their own: adds both. */
export class PcmDecoder implements AudioDecoder {
  readonly #expand: Expand;
  readonly #concealer: Concealer;
  readonly #factor: number;
  readonly #upsampler: Upsampler | undefined;
  /** At the codec's own rate; unused when that is the rate asked for. */
  readonly #native: Int16Array;

  constructor(expand: Expand, nativeRate: SampleRate, rate: SampleRate) {
    this.#expand = expand;
    this.#concealer = new Concealer(nativeRate);
    this.#factor = rate / nativeRate;
    this.#upsampler = this.#factor === 1 ? undefined : new Upsampler(this.#factor);
    this.#native = new Int16Array(this.#upsampler ? (nativeRate / 1000) * MAX_PACKET_MS : 0);
  }

  decode(packet: Buffer, start: number, end: number, out: Int16Array, at: number): number {
    const pcm = this.#upsampler ? this.#native : out;
    const from = this.#upsampler ? 0 : at;
    const samples = this.#expand(packet, start, end, pcm, from);
    this.#concealer.remember(pcm, from, samples);
    this.#upsampler?.process(pcm, samples, out, at);
    return samples * this.#factor;
  }

  conceal(samples: number, out: Int16Array, at: number): void {
    if (!this.#upsampler) {
      this.#concealer.conceal(samples, out, at);
      return;
    }
    const native = Math.min(this.#native.length, Math.ceil(samples / this.#factor));
    this.#concealer.conceal(native, this.#native, 0);
    this.#upsampler.process(this.#native, native, out, at);
  }
}
