/** Shortest and longest pitch period that is searched, in ms (400 Hz to 66 Hz, as in G.711 Appendix I). */
const MIN_PERIOD_MS = 2.5;
const MAX_PERIOD_MS = 15;
/** Concealment keeps its level for so long, then fades to silence (G.711 Appendix I: 10 ms, then 20 % each 10 ms). */
const HOLD_MS = 10;
const FADE_MS = 50;

/**
 * Packet loss concealment by repeating the last pitch period (after ITU-T G.711 Appendix I). It gets the received audio
 * by `remember`, and cross-fades when audio comes again after a loss.
 */
export class Concealer {
  readonly #perMs: number;
  readonly #history: Int16Array;
  #period = 0;
  /** Samples concealed since the last received audio. */
  #concealed = 0;

  constructor(sampleRate: number) {
    this.#perMs = sampleRate / 1000;
    this.#history = new Int16Array(Math.ceil(this.#perMs * 3 * MAX_PERIOD_MS));
  }

  /** Remembers received audio, `pcm[at, at + samples)`. Cross-fades its start if it follows concealed audio. */
  remember(pcm: Int16Array, at: number, samples: number): void {
    if (this.#concealed > 0) this.#blend(pcm, at, samples);
    const history = this.#history;
    const kept = Math.max(0, history.length - samples);
    history.copyWithin(0, history.length - kept);
    for (let i = kept, from = at + samples - (history.length - kept); i < history.length; i += 1, from += 1) {
      history[i] = pcm[from]!;
    }
  }

  conceal(samples: number, out: Int16Array, at: number): void {
    if (this.#concealed === 0) {
      this.#period = bestLag(
        this.#history,
        Math.round(MIN_PERIOD_MS * this.#perMs),
        Math.round(MAX_PERIOD_MS * this.#perMs),
      );
    }
    for (let i = 0; i < samples; i += 1) out[at + i] = this.#next();
  }

  #next(): number {
    const { length } = this.#history;
    const sample = this.#history[length - this.#period + (this.#concealed % this.#period)]!;
    const fading = this.#concealed / this.#perMs - HOLD_MS;
    this.#concealed += 1;
    return fading <= 0 ? sample : fading >= FADE_MS ? 0 : Math.trunc(sample * (1 - fading / FADE_MS));
  }

  #blend(pcm: Int16Array, at: number, samples: number): void {
    const overlap = Math.min(samples, Math.round(5 * this.#perMs));
    for (let i = 0; i < overlap; i += 1) {
      const share = (i + 1) / (overlap + 1);
      pcm[at + i] = Math.trunc(pcm[at + i]! * share + this.#next() * (1 - share));
    }
    this.#concealed = 0;
  }
}

/**
 * Finds the lag at which the end of `pcm` is most similar to itself (normalised correlation over the longest lag).
 * @param pcm must be at least `2 * maxLag` long
 * @returns a lag in samples, `minLag` to `maxLag`
 */
export function bestLag(pcm: Int16Array, minLag: number, maxLag: number, end = pcm.length): number {
  const start = end - maxLag;
  // At 8 kHz every sample and lag is tried. At higher rates coarser steps find the same period with less work.
  const step = Math.max(1, Math.floor(maxLag / 120));
  let best = maxLag;
  let bestScore = -1;
  for (let lag = minLag; lag <= maxLag; lag += step) {
    let product = 0;
    let energy = 1;
    for (let i = start; i < end; i += step) {
      const earlier = pcm[i - lag]!;
      product += pcm[i]! * earlier;
      energy += earlier * earlier;
    }
    const score = product <= 0 ? 0 : (product * product) / energy;
    if (score > bestScore) {
      bestScore = score;
      best = lag;
    }
  }
  return best;
}
