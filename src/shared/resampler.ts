/** Attenuation of what lies above the lower rate's half, in dB. */
const STOP_BAND_DB = 72;
/** Width of the transition into the stop band, as a share of the lower rate: from 0.45 to 0.55 of it. */
const TRANSITION = 0.1;

/**
 * Changes the sample rate of a stream by any ratio of whole numbers, with a Kaiser-windowed sinc filter in phases; keeps
 * state between calls. It adds half the filter's length of delay: about 2.3 ms at 8000 Hz, less at higher rates.
 */
export class Resampler {
  readonly #up: number;
  readonly #down: number;
  readonly #taps: number;
  /** Coefficients of each phase, for samples in their order. */
  readonly #phases: Float32Array;
  /** What the filter needs of the input before, then the present input. */
  #samples: Float32Array;
  /** Where the next output sample lies after the start of the next input, in steps of input rate times `#up`. */
  #next = 0;

  /** @param from rate of the input in Hz @param to rate of the output */
  constructor(from: number, to: number) {
    const common = greatestDivisor(from, to);
    this.#up = to / common;
    this.#down = from / common;
    const { phases, taps } = designFilter(this.#up, this.#down);
    this.#phases = phases;
    this.#taps = taps;
    this.#samples = new Float32Array(taps - 1);
  }

  /** Upper bound of the samples that come of so many. */
  room(samples: number): number {
    return Math.ceil((samples * this.#up) / this.#down) + 1;
  }

  /**
   * Reads `input[0, samples)` and writes what comes of it to `out` from `at`, clipped to 16 bits.
   * @returns the number of samples written
   */
  process(input: Int16Array | Float32Array, samples: number, out: Int16Array, at = 0): number {
    const before = this.#taps - 1;
    const kept = this.#prepare(samples);
    for (let i = 0; i < samples; i += 1) kept[before + i] = input[i]!;
    const [phases, taps, up] = [this.#phases, this.#taps, this.#up];
    let written = at;
    let next = this.#next;
    for (const end = samples * up; next < end; next += this.#down) {
      const first = (next / up) | 0;
      const phase = ((next - first * up) * taps) | 0;
      // Two sums, so that the processor need not wait for one addition to begin the next.
      let [even, odd] = [0, 0];
      for (let t = 0; t < taps; t += 2) {
        even += kept[first + t]! * phases[phase + t]!;
        odd += kept[first + t + 1]! * phases[phase + t + 1]!;
      }
      const sum = even + odd;
      out[written] = sum > 32767 ? 32767 : sum < -32768 ? -32768 : Math.round(sum);
      written += 1;
    }
    this.#next = next - samples * up;
    kept.copyWithin(0, samples, samples + before);
    return written - at;
  }

  #prepare(samples: number): Float32Array {
    const needed = this.#taps - 1 + samples;
    if (this.#samples.length < needed) {
      const larger = new Float32Array(needed);
      larger.set(this.#samples.subarray(0, this.#taps - 1));
      this.#samples = larger;
    }
    return this.#samples;
  }
}

function greatestDivisor(a: number, b: number): number {
  return b === 0 ? a : greatestDivisor(b, a % b);
}

/** The window and its length are Kaiser's: A. V. Oppenheim, R. W. Schafer, "Discrete-Time Signal Processing", 7.5.3. */
function designFilter(up: number, down: number): { phases: Float32Array; taps: number } {
  if (up === down) return { phases: Float32Array.of(0, 1), taps: 2 };
  // In the rate that both rates divide, of which the lower one is this share.
  const lower = Math.min(1 / up, 1 / down);
  const width = 2 * Math.PI * TRANSITION * lower;
  const taps = 2 * Math.ceil((STOP_BAND_DB - 8) / (2.285 * width) / up / 2);
  const length = taps * up;
  const beta = 0.1102 * (STOP_BAND_DB - 8.7);
  const centre = (length - 1) / 2;
  const phases = new Float32Array(length);
  for (let phase = 0; phase < up; phase += 1) {
    let sum = 0;
    for (let tap = 0; tap < taps; tap += 1) {
      const n = tap * up + phase;
      const x = (n - centre) * lower;
      const sinc = x === 0 ? 1 : Math.sin(Math.PI * x) / (Math.PI * x);
      const position = (n - centre) / (centre + 1);
      const value = sinc * bessel(beta * Math.sqrt(1 - position * position));
      phases[phase * taps + (taps - 1 - tap)] = value;
      sum += value;
    }
    // A gain of one for constants in each phase; otherwise the output would ripple at the input's rate.
    for (let tap = 0; tap < taps; tap += 1) phases[phase * taps + tap]! /= sum;
  }
  return { phases, taps };
}

/** The modified Bessel function of the first kind and order zero, by its series. */
function bessel(x: number): number {
  let sum = 1;
  let term = 1;
  for (let k = 1; term > sum * 1e-12; k += 1) {
    term *= (x / (2 * k)) ** 2;
    sum += term;
  }
  return sum;
}
