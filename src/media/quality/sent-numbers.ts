import { sequenceDelta } from '../rtp/index.js';

/** Packets that are remembered, a power of two: five seconds of audio, longer than a report and its packets are on the way. */
const KEPT = 256;

/**
 * Which sequence numbers of a stream were sent. Those of packets that the publisher's network lost were not; but a
 * receiver, which knows only numbers, reports them as lost.
 */
export class SentNumbers {
  /** How many had been sent with the packet, by the last bits of its number. */
  readonly #counts = new Uint32Array(KEPT);
  #packets = 0;
  #newest = -1;
  /** Numbers from the first to the newest. */
  #span = 0;

  get packets(): number {
    return this.#packets;
  }

  add(sequence: number): void {
    const step = this.#newest < 0 ? 1 : sequenceDelta(sequence, this.#newest);
    if (step > 0) {
      this.#newest = sequence;
      this.#span += step;
    }
    this.#packets += 1;
    this.#counts[sequence & (KEPT - 1)] = this.#packets;
  }

  /** @param highest the number that a receiver has come to @returns what was sent and what was left out until then */
  until(highest: number): { readonly reached: number; readonly skipped: number } {
    const behind = this.#newest < 0 ? 0 : sequenceDelta(this.#newest, highest & 0xffff);
    const isKnown = behind >= 0 && behind < Math.min(KEPT, this.#span);
    const reached = isKnown ? this.#counts[highest & (KEPT - 1)]! : this.#packets;
    const span = isKnown ? this.#span - behind : this.#span;
    return { reached, skipped: Math.max(0, span - reached) };
  }
}
