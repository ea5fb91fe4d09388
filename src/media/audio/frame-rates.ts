import { Resampler } from '../../shared/index.js';
import { FRAME_MS } from './mix-clock.js';

/** One stream's frames at other rates than its own, converted once for each rate however many mixes read them. */
export class FrameRates {
  readonly #from: number;
  readonly #rates = new Map<number, ConvertedFrames>();

  /** @param from rate of the stream in Hz */
  constructor(from: number) {
    this.#from = from;
  }

  /**
   * Writes a frame to `out`.
   * @param pcm the frame at the stream's own rate @param isSound false: it is all silence
   * @returns false if what is written is silence too
   */
  read(
    frame: number,
    isSound: boolean,
    pcm: Int16Array | Float32Array,
    rate: number,
    out: Int16Array,
  ): boolean {
    let converted = this.#rates.get(rate);
    if (!converted) this.#rates.set(rate, (converted = new ConvertedFrames(this.#from, rate)));
    return converted.read(frame, isSound, pcm, out);
  }
}

class ConvertedFrames {
  readonly #resampler: Resampler;
  readonly #out: Int16Array;
  #frame = -1;
  #isSound = false;
  /** The filter holds nothing of what was heard. */
  #isDrained = true;

  constructor(from: number, to: number) {
    this.#resampler = new Resampler(from, to);
    this.#out = new Int16Array((to / 1000) * FRAME_MS);
  }

  read(frame: number, isSound: boolean, pcm: Int16Array | Float32Array, out: Int16Array): boolean {
    if (frame !== this.#frame) {
      this.#frame = frame;
      this.#isSound = isSound || !this.#isDrained;
      this.#isDrained = !isSound;
      if (this.#isSound) this.#resampler.process(pcm, pcm.length, this.#out);
      else this.#out.fill(0);
    }
    // Element by element: it is as fast, and so short a frame needs no call.
    for (let i = 0; i < this.#out.length; i += 1) out[i] = this.#out[i]!;
    return this.#isSound;
  }
}
