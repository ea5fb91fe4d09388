const WINDOW = 128;

/** Remembers which of the last 128 packet indices came (RFC 3711 section 3.3.2). */
export class ReplayWindow {
  readonly #seen = new Float64Array(WINDOW).fill(-1);
  #highest = -1;

  /** The highest index accepted, -1: none. */
  get highest(): number {
    return this.#highest;
  }

  /** Whether a packet may be new: not seen, and not too old to be sure. */
  allows(index: number): boolean {
    return index > this.#highest - WINDOW && this.#seen[index % WINDOW] !== index;
  }

  accept(index: number): void {
    this.#seen[index % WINDOW] = index;
    if (index > this.#highest) this.#highest = index;
  }
}
