import type { AudioCodec, SampleRate } from '../codecs/index.js';
import { Playout } from '../jitter/index.js';
import type { TrackSink } from '../track.js';
import { FRAME_MS } from './mix-clock.js';

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
