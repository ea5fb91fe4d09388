import type { SampleRate } from '../codecs/index.js';

/** Shortest piece worth cutting out or repeating, in ms: one period of the highest voice. */
export const MIN_PIECE_MS = 2.5;
/** Longest one: a period of the lowest voice. */
const MAX_PIECE_MS = 15;
/** Cross-fade where a piece of silence is cut out. */
const QUIET_FADE_MS = 5;
/** Lags and samples that are compared at any rate: as at 8 kHz. Coarser steps find the same period with less work. */
const STEPS = 120;
/** Of similar periods the longest is taken, so that fewer cuts are needed. */
const NEARLY = 0.9;

/** Power below which there is nothing to hear: -54 dB of full scale. Also -30 dB of the loudest of late. */
const QUIET_POWER = 64 ** 2;
const QUIET_SHARE = 0.001;
/** The loudest is forgotten in about this time. */
const LOUDNESS_MS = 10_000;
/** ms between samples that are looked at to judge loudness. */
const LOUDNESS_STEP = 0.5;

/**
 * Shortens and lengthens speech without a click, as WSOLA does: by a whole pitch period, across which it fades from the
 * sound to itself. Makes nothing for the garbage collector.
 */
export class TimeScale {
  readonly #perMs: number;
  readonly #minLag: number;
  readonly #maxLag: number;
  /** Samples of the cross-fade where silence is cut out. */
  readonly quietFade: number;
  /** Power of the loudest packet of late. */
  #loudest = 0;

  constructor(rate: SampleRate) {
    const perMs = rate / 1000;
    this.#perMs = perMs;
    this.#minLag = Math.round(MIN_PIECE_MS * perMs);
    this.#maxLag = Math.round(MAX_PIECE_MS * perMs);
    this.quietFade = QUIET_FADE_MS * perMs;
  }

  /** Notes how loud a packet is. */
  hear(pcm: Int16Array, from: number, to: number): void {
    const ageing = 1 - (to - from) / this.#perMs / LOUDNESS_MS;
    this.#loudest = Math.max(Math.floor(this.#loudest * ageing), this.#power(pcm, from, to));
  }

  /** Whether there is nothing to hear in `pcm[from, to)`, compared with what was heard. */
  isQuiet(pcm: Int16Array, from: number, to: number): boolean {
    return this.#power(pcm, from, to) < Math.max(QUIET_POWER, QUIET_SHARE * this.#loudest);
  }

  /** Samples with which every pitch period can be found. */
  get enough(): number {
    return 2 * this.#maxLag;
  }

  /**
   * Cuts a pitch period out of `pcm[from, end)`: afterwards the samples from `from` on are shorter.
   * @param most samples that may be cut out
   * @param similarity how similar the sound must be to itself a period later: 1, identical; 0, anything will do
   * @returns samples cut out; 0 if no period fits
   */
  shorten(pcm: Int16Array, from: number, end: number, most: number, similarity: number): number {
    const lag = this.#period(pcm, from, end, most, similarity);
    if (lag > 0) splice(pcm, from, end, lag, lag);
    return lag;
  }

  /** The same for samples that are as good as silent, of which any number can be cut out. */
  shortenQuiet(pcm: Int16Array, from: number, end: number, most: number): number {
    const cut = Math.min(most, end - from - this.quietFade);
    if (cut <= 0) return 0;
    splice(pcm, from, end, cut, this.quietFade);
    return cut;
  }

  /**
   * Repeats a pitch period of `pcm[from, end)`, after which there must be room.
   * @returns samples inserted; 0 if no period was found
   */
  lengthen(pcm: Int16Array, from: number, end: number, similarity: number): number {
    const lag = this.#period(pcm, from, end, this.#maxLag, similarity);
    if (lag === 0) return 0;
    const second = from + lag;
    pcm.copyWithin(second + lag, second, end);
    for (let i = 0; i < lag; i += 1) {
      const share = (i + 1) / (lag + 1);
      pcm[second + i] = Math.round(pcm[second + lag + i]! * (1 - share) + pcm[from + i]! * share);
    }
    return lag;
  }

  #power(pcm: Int16Array, from: number, to: number): number {
    const step = this.#perMs * LOUDNESS_STEP;
    let sum = 0;
    for (let i = from; i < to; i += step) sum += pcm[i]! * pcm[i]!;
    return Math.round((sum * step) / (to - from));
  }

  /** The lag at which the sound from `from` on is most similar to itself; 0 if none is similar enough. */
  #period(pcm: Int16Array, from: number, end: number, most: number, similarity: number): number {
    const span = Math.min(this.#maxLag, (end - from) >> 1);
    const maxLag = Math.min(span, Math.floor(most));
    if (maxLag < this.#minLag) return 0;
    const step = Math.max(1, Math.floor(this.#maxLag / STEPS));
    let energy = 1;
    for (let i = 0; i < span; i += step) energy += pcm[from + i]! * pcm[from + i]!;
    const wanted = similarity * similarity;
    let best = 0;
    let bestScore = -1;
    for (let lag = this.#minLag; lag <= maxLag; lag += step) {
      let product = 0;
      let later = 1;
      for (let i = 0, at = from; i < span; i += step, at += step) {
        const sample = pcm[at + lag]!;
        product += pcm[at]! * sample;
        later += sample * sample;
      }
      const score = product <= 0 ? 0 : (product * product) / (energy * later);
      // A multiple of the period is nearly as similar.
      if (score < bestScore * NEARLY || score < wanted) continue;
      best = lag;
      bestScore = Math.max(bestScore, score);
    }
    return best;
  }
}

/** Cuts `cut` samples out at `from`, with a cross-fade over `fade` samples. */
function splice(pcm: Int16Array, from: number, end: number, cut: number, fade: number): void {
  for (let i = 0; i < fade; i += 1) {
    const share = (i + 1) / (fade + 1);
    pcm[from + i] = Math.round(pcm[from + i]! * (1 - share) + pcm[from + cut + i]! * share);
  }
  pcm.copyWithin(from + fade, from + cut + fade, end);
}
