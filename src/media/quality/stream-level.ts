import type { AudioCodec, LevelMeter } from '../codecs/index.js';

/** The level of a stream's packets, as far as it is known anyway, costs nearly nothing, or was asked for. */
export class StreamLevel {
  readonly #codec: AudioCodec;
  readonly #isAskedFor: () => boolean;
  /** Made when it is needed, since it may have a decoder. */
  #meter: LevelMeter | undefined;

  /** @param isAskedFor whether it is wanted now even if the stream has to be decoded for nothing else */
  constructor(codec: AudioCodec, isAskedFor: () => boolean) {
    this.#codec = codec;
    this.#isAskedFor = isAskedFor;
  }

  /**
   * @param decodedPower `PublishedTrack.decodedPower`: what a mix decodes tells the level a moment later, and nothing is
   * decoded twice
   * @returns the mean square of a packet's samples, 1 for those of full scale; NaN when it is not known
   */
  power(decodedPower: number | undefined, packet: Buffer, start: number, end: number): number {
    if (decodedPower !== undefined) return decodedPower;
    if (!this.#codec.hasCheapLevel && !this.#isAskedFor()) return Number.NaN;
    this.#meter ??= this.#codec.createLevelMeter();
    return this.#meter(packet, start, end);
  }
}
