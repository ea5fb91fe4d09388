/** Serial number arithmetic for RTP sequence numbers (16 bits) and timestamps (32 bits). */

/** Distance from `b` to `a`, -32768 to 32767: positive when `a` comes after `b`. */
export function sequenceDelta(a: number, b: number): number {
  return ((a - b) << 16) >> 16;
}

/** Distance from `b` to `a`, -2^31 to 2^31-1: positive when `a` comes after `b`. */
export function timestampDelta(a: number, b: number): number {
  return (a - b) | 0;
}

/** The sequence number that follows, over the wrap. */
export const nextSequence = (sequence: number): number => (sequence + 1) & 0xffff;

/** Turns 16-bit sequence numbers into ones that count on over the wrap, by nearness to the last one. */
export class SequenceUnwrapper {
  #last = -1;

  /** The extended sequence number; late packets get numbers before the last one's (never below 0). */
  unwrap(sequence: number): number {
    if (this.#last < 0) {
      // One cycle of head room keeps packets from before the first one positive.
      this.#last = 0x10000 + sequence;
      return this.#last;
    }
    const extended = this.#last + sequenceDelta(sequence, this.#last & 0xffff);
    if (extended > this.#last) this.#last = extended;
    return extended;
  }

  reset(): void {
    this.#last = -1;
  }
}
