/** The larger picture has stopped when so much time of a smaller one has passed without it. */
const STOPPED_MS = 1_000;

/**
 * Of the layers that a publisher sends side by side by SSRCs of their own (`a=ssrc-group:SIM`), the one to forward: the
 * largest that comes. Nobody can ask such a publisher for one layer alone, and it leaves the larger ones out when its
 * network, or we, allow for less.
 */
export class LayerChoice {
  readonly #ssrcs: readonly number[];
  /** Index of the layer. */
  #chosen = -1;
  /** A smaller one has come alone since then. */
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
    // A browser that does not obey its page sends by an SSRC of its own.
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
