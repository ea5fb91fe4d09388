import { Resampler } from '../../shared/index.js';
import { Concealer } from './concealer.js';
import { type AudioDecoder, MAX_PACKET_MS, type SampleRate } from './codec.js';

/** Taps for each output phase: enough for 60 dB against images at telephone bandwidth. */
const TAPS = 16;

/** Expands a payload to samples at the codec's own rate, written from `at`. Returns their number. */
export type Expand = (packet: Buffer, start: number, end: number, out: Int16Array, at: number) => number;

/** A decoder for codecs with a fixed sample rate and no loss concealment: resamples and conceals. */
export class PcmDecoder implements AudioDecoder {
  readonly #expand: Expand;
  readonly #concealer: Concealer;
  readonly #factor: number;
  readonly #upsampler: Upsampler | Resampler | undefined;
  /** Samples at the codec's own rate; unused if that is the wanted rate. */
  readonly #native: Int16Array;

  constructor(expand: Expand, nativeRate: SampleRate, rate: SampleRate) {
    this.#expand = expand;
    this.#concealer = new Concealer(nativeRate);
    this.#factor = rate / nativeRate;
    if (this.#factor !== 1)
      this.#upsampler = Number.isInteger(this.#factor)
        ? new Upsampler(this.#factor)
        : new Resampler(nativeRate, rate);
    this.#native = new Int16Array(this.#upsampler ? (nativeRate / 1000) * MAX_PACKET_MS : 0);
  }

  decode(packet: Buffer, start: number, end: number, out: Int16Array, at: number): number {
    const pcm = this.#upsampler ? this.#native : out;
    const from = this.#upsampler ? 0 : at;
    const samples = this.#expand(packet, start, end, pcm, from);
    this.#concealer.remember(pcm, from, samples);
    return this.#upsampler?.process(pcm, samples, out, at) ?? samples;
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

/** Raises a stream's sample rate by a whole factor with a windowed-sinc polyphase filter; keeps state. */
export class Upsampler {
  /** Coefficients by phase, newest sample first. */
  readonly #phases: Float32Array;
  /** The last TAPS samples, each stored twice, so that a window of them is always contiguous. */
  readonly #history = new Float32Array(2 * TAPS);
  #at = 0;

  constructor(factor: number) {
    this.#phases = designPhases(factor);
  }

  /** Reads `input[0, samples)` and writes `factor` times as many to `out` from `at`. @returns how many that are */
  process(input: Int16Array, samples: number, out: Int16Array, at: number): number {
    const history = this.#history;
    const phases = this.#phases;
    let o = at;
    for (let i = 0; i < samples; i += 1) {
      this.#at = (this.#at + TAPS - 1) % TAPS;
      const newest = this.#at;
      history[newest] = input[i]!;
      history[newest + TAPS] = input[i]!;
      for (let c = 0; c < phases.length; o += 1) {
        let sum = 0;
        for (let t = 0; t < TAPS; t += 1, c += 1) sum += history[newest + t]! * phases[c]!;
        out[o] = sum > 32767 ? 32767 : sum < -32768 ? -32768 : Math.round(sum);
      }
    }
    return o - at;
  }
}

function designPhases(factor: number): Float32Array {
  const phases = new Float32Array(factor * TAPS);
  const centre = (factor * TAPS - 1) / 2;
  for (let phase = 0; phase < factor; phase += 1) {
    let sum = 0;
    for (let tap = 0; tap < TAPS; tap += 1) {
      const n = tap * factor + phase;
      const x = (n - centre) / factor;
      const sinc = x === 0 ? 1 : Math.sin(Math.PI * x) / (Math.PI * x);
      const window = 0.5 - 0.5 * Math.cos((2 * Math.PI * (n + 0.5)) / (factor * TAPS));
      phases[phase * TAPS + tap] = sinc * window;
      sum += sinc * window;
    }
    // Normalise each phase to a gain of one for constants; otherwise the output would ripple at the input's rate.
    for (let tap = 0; tap < TAPS; tap += 1) phases[phase * TAPS + tap]! /= sum;
  }
  return phases;
}
