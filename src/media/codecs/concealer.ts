/** Shortest and longest pitch period that is searched, in ms (200 Hz to 66 Hz, as in G.711 Appendix I). */
const MIN_PERIOD_MS = 5;
const MAX_PERIOD_MS = 15;

/** What a loss is counted in. */
const STEP_MS = 10;
/** One period is repeated in the first step, two in the second, from then on three: one alone soon sounds like a buzzer. */
const MAX_PERIODS = 3;
/** The level falls from the second step on, by 20 % in each, to silence. */
const FADE_MS = 50;
/** By so much the cross-fade to received audio is longer for each further step. */
const OVERLAP_STEP_MS = 4;
const MAX_OVERLAP_MS = 10;

/**
 * Packet loss concealment by repeating pitch periods, as ITU-T G.711 Appendix I does it: at any sample rate, for losses of
 * any length, and without its delay of 3.75 ms. Instead of fading from samples that are held back, the beginning of a loss
 * fades from the last quarter of a period played backwards.
 */
export class Concealer {
  readonly #perMs: number;
  readonly #step: number;
  /** What was heard last: the longest periods, and a quarter of one before them. */
  readonly #history: Int16Array;
  /** The history when the loss began, with an end that goes on as its repeated part begins. */
  readonly #pitch: Float32Array;
  /** The last quarter of a period before the loss. */
  readonly #last: Float32Array;
  /** What fades out under the beginning of the repeated part. */
  readonly #old: Float32Array;
  #period = 0;
  #quarter = 0;
  #periods = 0;
  /** Next sample to be repeated, and how many of `#old` are still to be heard. */
  #at = 0;
  #oldLeft = 0;
  /** Samples concealed since the last received audio. */
  #concealed = 0;

  constructor(sampleRate: number) {
    this.#perMs = sampleRate / 1000;
    this.#step = STEP_MS * this.#perMs;
    const quarter = Math.ceil((MAX_PERIOD_MS * this.#perMs) / 4);
    this.#history = new Int16Array(MAX_PERIODS * MAX_PERIOD_MS * this.#perMs + quarter);
    this.#pitch = new Float32Array(this.#history.length);
    this.#last = new Float32Array(quarter);
    this.#old = new Float32Array(quarter);
  }

  /** Remembers received audio, `pcm[at, at + samples)`. Cross-fades its start if it follows concealed audio. */
  remember(pcm: Int16Array, at: number, samples: number): void {
    if (this.#concealed > 0 && samples > 0) this.#blend(pcm, at, samples);
    this.#keep(pcm, at, samples);
  }

  conceal(samples: number, out: Int16Array, at: number): void {
    if (this.#concealed === 0) this.#begin();
    for (let i = 0; i < samples; i += 1) out[at + i] = Math.round(this.#next());
    // A loss soon after this one repeats what was heard, not what was received.
    this.#keep(out, at, samples);
  }

  #keep(pcm: Int16Array, at: number, samples: number): void {
    const history = this.#history;
    const kept = Math.max(0, history.length - samples);
    history.copyWithin(0, history.length - kept);
    for (let i = kept, from = at + samples - (history.length - kept); i < history.length; i += 1, from += 1) {
      history[i] = pcm[from]!;
    }
  }

  #begin(): void {
    const history = this.#history;
    const { length } = history;
    const [shortest, longest] = [MIN_PERIOD_MS * this.#perMs, MAX_PERIOD_MS * this.#perMs];
    this.#period = bestLag(history, shortest, longest);
    this.#quarter = this.#period >> 2;
    this.#periods = 1;
    for (let i = 0; i < length; i += 1) this.#pitch[i] = history[i]!;
    for (let i = 0; i < this.#quarter; i += 1) {
      this.#last[i] = history[length - this.#quarter + i]!;
      this.#old[i] = history[length - 1 - i]!;
    }
    this.#oldLeft = this.#quarter;
    this.#at = length - this.#period;
    this.#closeLoop();
  }

  /** Has the repeated part end as what comes before it does, so that it can begin again. */
  #closeLoop(): void {
    const repeated = this.#periods * this.#period;
    for (let i = 0; i < this.#quarter; i += 1) {
      const share = (i + 1) / (this.#quarter + 1);
      const at = this.#pitch.length - this.#quarter + i;
      this.#pitch[at] = this.#last[i]! * (1 - share) + this.#pitch[at - repeated]! * share;
    }
  }

  /** Repeats a period more from now on, in the phase of those so far. */
  #grow(): void {
    const start = this.#pitch.length - this.#periods * this.#period;
    const phase = (this.#at - start) % this.#period;
    for (let i = 0; i < this.#quarter; i += 1) this.#old[i] = this.#repeat();
    this.#oldLeft = this.#quarter;
    this.#periods += 1;
    this.#at = this.#pitch.length - this.#periods * this.#period + phase;
    this.#closeLoop();
  }

  #repeat(): number {
    const sample = this.#pitch[this.#at]!;
    this.#at += 1;
    if (this.#at === this.#pitch.length) this.#at -= this.#periods * this.#period;
    return sample;
  }

  #next(): number {
    if (this.#periods < MAX_PERIODS && this.#concealed >= this.#periods * this.#step) this.#grow();
    const fading = this.#concealed / this.#perMs - STEP_MS;
    this.#concealed += 1;
    if (fading >= FADE_MS) return 0;
    let sample = this.#repeat();
    if (this.#oldLeft > 0) {
      const share = this.#oldLeft / (this.#quarter + 1);
      sample = sample * (1 - share) + this.#old[this.#quarter - this.#oldLeft]! * share;
      this.#oldLeft -= 1;
    }
    return fading <= 0 ? sample : sample * (1 - fading / FADE_MS);
  }

  #blend(pcm: Int16Array, at: number, samples: number): void {
    const steps = Math.ceil(this.#concealed / this.#step);
    const wanted = this.#quarter + (steps - 1) * OVERLAP_STEP_MS * this.#perMs;
    const overlap = Math.min(samples, wanted, MAX_OVERLAP_MS * this.#perMs);
    for (let i = 0; i < overlap; i += 1) {
      const share = (i + 1) / (overlap + 1);
      pcm[at + i] = Math.round(pcm[at + i]! * share + this.#next() * (1 - share));
    }
    this.#concealed = 0;
  }
}

/**
 * Finds the lag at which the end of `pcm` is most similar to itself (normalised correlation over the longest lag).
 * @param pcm must be at least `2 * maxLag` long
 * @returns a lag in samples, `minLag` to `maxLag`
 */
function bestLag(pcm: Int16Array, minLag: number, maxLag: number): number {
  // At 8 kHz every sample and lag is tried. At higher rates coarser steps find about the same with less work.
  const step = Math.max(1, Math.floor(maxLag / 120));
  const coarse = search(pcm, minLag, maxLag, step, maxLag);
  if (step === 1) return coarse;
  return search(pcm, Math.max(minLag, coarse - step + 1), Math.min(maxLag, coarse + step - 1), 1, maxLag);
}

function search(pcm: Int16Array, from: number, to: number, step: number, length: number): number {
  let best = to;
  let bestScore = -1;
  for (let lag = from; lag <= to; lag += step) {
    let product = 0;
    let energy = 1;
    for (let i = pcm.length - length; i < pcm.length; i += step) {
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
