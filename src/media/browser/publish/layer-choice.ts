/** A smaller layer is forwarded once it has come without the larger one for this long. */
const STOPPED_MS = 1_000;

/**
 * Chooses the layer to forward when a publisher sends several, each by its SSRC (`a=ssrc-group:SIM`): the
 * largest that comes. Such a publisher cannot be asked for one layer only, and stops the larger ones when its
 * network or our limit is too low for them.
 */
export class LayerChoice {
  readonly #ssrcs: readonly number[];
  /** Index of the layer. */
  #chosen = -1;
  /** Since when only smaller layers have come. */
  #aloneSince: number | undefined;

  /** @param ssrcs from the smallest picture to the largest */
  constructor(ssrcs: readonly number[]) {
    this.#ssrcs = ssrcs;
  }

  /**
   * Whether to forward a packet. Layers are changed at key frames: nothing else decodes then.
   * @returns `key` for a packet of a layer that is to be forwarded from its next key frame on
   */
  take(ssrc: number, beginsKeyFrame: boolean, nowMs: number): 'forward' | 'drop' | 'key' {
    const index = this.#ssrcs.indexOf(ssrc);
    // A browser may send by another SSRC than its page announced.
    if (index < 0) return this.#chosen < 0 ? 'forward' : 'drop';
    if (index === this.#chosen) {
      this.#aloneSince = undefined;
      return 'forward';
    }
    if (index < this.#chosen) {
      this.#aloneSince ??= nowMs;
      if (nowMs - this.#aloneSince < STOPPED_MS) return 'drop';
    }
    if (!beginsKeyFrame) return 'key';
    this.#chosen = index;
    this.#aloneSince = undefined;
    return 'forward';
  }
}
