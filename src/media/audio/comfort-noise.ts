import { type SampleRate, Upsampler } from '../codecs/index.js';

/** Noise is made at this rate, for which its spectrum is described, in pieces of 10 ms. */
const NOISE_RATE = 8000;
const PIECE_SAMPLES = NOISE_RATE / 100;
/** Louder noise (dBov) is played at this level: one packet would be heard until the next one comes. */
const LOUDEST_DB = -30;
/** More coefficients than phones send are left out. */
const MAX_ORDER = 12;
/** A reflection coefficient of 1 would make the filter unstable. */
const MAX_REFLECTION = 0.98;
const FULL_SCALE = 32768;
/** Peaks of noise in relation to its RMS. What a filter before left behind may be more in the next one. */
const MAX_PEAK = 4;
/** Ratio of the peak of evenly distributed numbers to their RMS. */
const PEAK_TO_RMS = Math.sqrt(3);

/** Comfort noise (RFC 3389): noise of a level and spectrum that the publisher tells when it has nothing else to send. */
export class ComfortNoise {
  readonly #upsampler: Upsampler | undefined;
  readonly #piece: Int16Array;
  readonly #native: Int16Array;
  #at: number;
  /** RMS of the noise, and what it is to become, in samples. */
  #level = 0;
  #target = 0;
  /** Of the noise before the filter, in relation to that. */
  #excitation = 1;
  #order = 0;
  /** Of the all-pole filter, and its last outputs, the latest first. */
  readonly #coefficients = new Float64Array(MAX_ORDER);
  readonly #memory = new Float64Array(MAX_ORDER);
  #seed = 1;

  constructor(rate: SampleRate) {
    this.#upsampler = rate === NOISE_RATE ? undefined : new Upsampler(rate / NOISE_RATE);
    this.#piece = new Int16Array(rate / 100);
    this.#native = this.#upsampler ? new Int16Array(PIECE_SAMPLES) : this.#piece;
    this.#at = this.#piece.length;
  }

  /** In dBov, as it was described last. */
  get levelDb(): number {
    return 20 * Math.log10(this.#target / FULL_SCALE);
  }

  /** Takes the payload of a comfort noise packet (RFC 3389 section 3); an empty one changes nothing. */
  describe(packet: Uint8Array, start: number, end: number): void {
    if (end <= start) return;
    const order = Math.min(MAX_ORDER, end - start - 1);
    let gain = 1;
    for (let i = 0; i < order; i += 1) gain *= 1 - this.#reflect(i, packet[start + 1 + i]!) ** 2;
    this.#coefficients.fill(0, order);
    this.#order = order;
    const levelDb = Math.min(LOUDEST_DB, -(packet[start]! & 0x7f));
    this.#target = FULL_SCALE * 10 ** (levelDb / 20);
    // The filter adds as much power as its coefficients predict.
    this.#excitation = Math.sqrt(gain);
  }

  /** Makes the next samples. */
  play(out: Int16Array, at: number, samples: number): void {
    for (let i = 0; i < samples; i += 1) {
      if (this.#at === this.#piece.length) this.#make();
      out[at + i] = this.#piece[this.#at]!;
      this.#at += 1;
    }
  }

  /** Adds a quantised reflection coefficient to the filter (RFC 3389 section 3.2). */
  #reflect(index: number, quantised: number): number {
    const coefficients = this.#coefficients;
    const k = Math.max(-MAX_REFLECTION, Math.min(MAX_REFLECTION, (quantised - 127) / 128));
    for (let i = 0, j = index - 1; i <= j; i += 1, j -= 1) {
      const [one, other] = [coefficients[i]!, coefficients[j]!];
      coefficients[i] = one + k * other;
      coefficients[j] = other + k * one;
    }
    coefficients[index] = k;
    return k;
  }

  #make(): void {
    const memory = this.#memory;
    const step = (this.#target - this.#level) / PIECE_SAMPLES;
    const most = MAX_PEAK * Math.max(this.#target, this.#level);
    for (let i = 0; i < PIECE_SAMPLES; i += 1) {
      this.#level += step;
      this.#seed = (Math.imul(this.#seed, 1664525) + 1013904223) | 0;
      let value = (this.#seed / 2 ** 31) * this.#level * this.#excitation * PEAK_TO_RMS;
      for (let tap = 0; tap < this.#order; tap += 1) value -= this.#coefficients[tap]! * memory[tap]!;
      value = Math.max(-most, Math.min(most, value));
      for (let tap = MAX_ORDER - 1; tap > 0; tap -= 1) memory[tap] = memory[tap - 1]!;
      memory[0] = value;
      this.#native[i] = Math.round(value);
    }
    this.#upsampler?.process(this.#native, PIECE_SAMPLES, this.#piece, 0);
    this.#at = 0;
  }
}
