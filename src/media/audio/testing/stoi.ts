/**
 * The short-time objective intelligibility measure of C. H. Taal, R. C. Hendriks, R. Heusdens and J. Jensen: "An Algorithm
 * for Intelligibility Prediction of Time-Frequency Weighted Noisy Speech", IEEE Transactions on Audio, Speech, and Language
 * Processing 19 (7), 2011. The numbers are those of its section II.
 */

const RATE = 10_000;
const FRAME = 256;
const HOP = FRAME / 2;
const FFT_SIZE = 512;
/** Frames of the clean speech that are so much quieter than its loudest are left out, in dB. */
const DYNAMIC_RANGE_DB = 40;
const BANDS = 15;
const LOWEST_BAND_HZ = 150;
/** Frames that are compared at a time: 384 ms. */
const SEGMENT = 30;
/** Lowest signal-to-distortion ratio of a band, in dB. */
const CLIP_DB = -15;

const window = Float64Array.from(
  { length: FRAME },
  (_, i) => 0.5 - 0.5 * Math.cos((2 * Math.PI * (i + 1)) / (FRAME + 1)),
);

/**
 * How intelligible speech is, from 0 to 1.
 * @param clean what it should be @param other what came of it, as long and in step with it
 */
export function stoi(clean: Int16Array, other: Int16Array, rate: number): number {
  const [x, y] = withoutSilence(resample(clean, rate, RATE), resample(other, rate, RATE));
  const [cleanBands, otherBands] = [bandsOf(x), bandsOf(y)];
  let sum = 0;
  let count = 0;
  for (let end = SEGMENT; end <= cleanBands.length; end += 1) {
    for (let band = 0; band < BANDS; band += 1) {
      const a = cleanBands.slice(end - SEGMENT, end).map((bands) => bands[band]!);
      const b = otherBands.slice(end - SEGMENT, end).map((bands) => bands[band]!);
      sum += correlation(a, clipped(a, b));
      count += 1;
    }
  }
  if (count === 0) throw new Error('There is too little speech.');
  return sum / count;
}

/** Equations 3 and 4: brought to the energy of the clean speech, with bounded distortion. */
function clipped(clean: readonly number[], other: readonly number[]): number[] {
  const energy = (values: readonly number[]): number => values.reduce((sum, value) => sum + value * value, 0);
  const scale = Math.sqrt(energy(clean) / (energy(other) + Number.EPSILON));
  const most = 1 + 10 ** (-CLIP_DB / 20);
  return other.map((value, i) => Math.min(scale * value, most * clean[i]!));
}

/** Equation 5. */
function correlation(a: readonly number[], b: readonly number[]): number {
  const mean = (values: readonly number[]): number => values.reduce((sum, v) => sum + v, 0) / values.length;
  const [meanA, meanB] = [mean(a), mean(b)];
  let [product, squaresA, squaresB] = [0, 0, 0];
  for (let i = 0; i < a.length; i += 1) {
    const [da, db] = [a[i]! - meanA, b[i]! - meanB];
    product += da * db;
    squaresA += da * da;
    squaresB += db * db;
  }
  return product / (Math.sqrt(squaresA * squaresB) + Number.EPSILON);
}

/** Leaves the frames in which the clean speech is silent out of both. */
function withoutSilence(clean: Float64Array, other: Float64Array): [Float64Array, Float64Array] {
  const starts: number[] = [];
  for (let at = 0; at + FRAME <= clean.length; at += HOP) starts.push(at);
  const levels = starts.map((at) => {
    let squares = 0;
    for (let i = 0; i < FRAME; i += 1) squares += (clean[at + i]! * window[i]!) ** 2;
    return 10 * Math.log10(squares + Number.EPSILON);
  });
  const least = Math.max(...levels) - DYNAMIC_RANGE_DB;
  const kept = starts.filter((_, i) => levels[i]! > least);
  const joined = (signal: Float64Array): Float64Array => {
    const out = new Float64Array((kept.length - 1) * HOP + FRAME);
    for (const [index, at] of kept.entries())
      for (let i = 0; i < FRAME; i += 1) out[index * HOP + i]! += signal[at + i]! * window[i]!;
    return out;
  };
  return [joined(clean), joined(other)];
}

/** Equation 1: for each frame the norms of its one-third octave bands. */
function bandsOf(signal: Float64Array): number[][] {
  const edges = Array.from({ length: BANDS }, (_, band) => {
    const centre = LOWEST_BAND_HZ * 2 ** (band / 3);
    const bin = (hertz: number): number => Math.round((hertz * FFT_SIZE) / RATE);
    return [bin(centre * 2 ** (-1 / 6)), bin(centre * 2 ** (1 / 6))] as const;
  });
  const frames: number[][] = [];
  for (let at = 0; at + FRAME <= signal.length; at += HOP) {
    const powers = spectrum(signal, at);
    frames.push(
      edges.map(([from, to]) => Math.sqrt(powers.subarray(from, to).reduce((sum, power) => sum + power, 0))),
    );
  }
  return frames;
}

/** Powers of the bins of one windowed frame. */
function spectrum(signal: Float64Array, at: number): Float64Array {
  const re = new Float64Array(FFT_SIZE);
  const im = new Float64Array(FFT_SIZE);
  for (let i = 0; i < FRAME; i += 1) re[i] = signal[at + i]! * window[i]!;
  transform(re, im);
  return Float64Array.from({ length: FFT_SIZE / 2 + 1 }, (_, bin) => re[bin]! ** 2 + im[bin]! ** 2);
}

const COS = Float64Array.from({ length: FFT_SIZE / 2 }, (_, k) => Math.cos((2 * Math.PI * k) / FFT_SIZE));
const SIN = Float64Array.from({ length: FFT_SIZE / 2 }, (_, k) => Math.sin((2 * Math.PI * k) / FFT_SIZE));

/** Fast Fourier transform of radix 2 and {@link FFT_SIZE}, in place. */
function transform(re: Float64Array, im: Float64Array): void {
  const size = re.length;
  for (let i = 1, j = 0; i < size; i += 1) {
    let bit = size >> 1;
    for (; (j & bit) !== 0; bit >>= 1) j ^= bit;
    j ^= bit;
    if (i >= j) continue;
    [re[i], re[j]] = [re[j]!, re[i]!];
    [im[i], im[j]] = [im[j]!, im[i]!];
  }
  for (let length = 2; length <= size; length *= 2) {
    for (let start = 0; start < size; start += length) {
      for (let k = 0; k < length / 2; k += 1) {
        const cos = COS[(k * FFT_SIZE) / length]!;
        const sin = SIN[(k * FFT_SIZE) / length]!;
        const even = start + k;
        const odd = even + length / 2;
        const real = re[odd]! * cos + im[odd]! * sin;
        const imaginary = im[odd]! * cos - re[odd]! * sin;
        re[odd] = re[even]! - real;
        im[odd] = im[even]! - imaginary;
        re[even]! += real;
        im[even]! += imaginary;
      }
    }
  }
}

/** Zero crossings of the sinc on each side. */
const SINC_WIDTH = 16;

const divisor = (a: number, b: number): number => (b === 0 ? a : divisor(b, a % b));

/** A signal at another rate, by a windowed sinc. */
export function resample(pcm: ArrayLike<number>, from: number, to: number): Float64Array {
  if (from === to) return Float64Array.from(pcm);
  // Of the lower of the two rates.
  const cut = Math.min(1, to / from) * 0.95;
  const reach = Math.ceil(SINC_WIDTH / cut);
  const phases = Array.from({ length: to / divisor(from, to) }, (_, phase) => {
    const offset = ((phase * from) / to) % 1;
    return Float64Array.from({ length: 2 * reach + 1 }, (_, tap) => {
      const x = (tap - reach - offset) * cut;
      if (Math.abs(x) >= SINC_WIDTH) return 0;
      const sinc = x === 0 ? 1 : Math.sin(Math.PI * x) / (Math.PI * x);
      return cut * sinc * (0.5 + 0.5 * Math.cos((Math.PI * x) / SINC_WIDTH));
    });
  });
  return Float64Array.from({ length: Math.floor((pcm.length * to) / from) }, (_, i) => {
    const taps = phases[i % phases.length]!;
    const first = Math.floor((i * from) / to) - reach;
    let sum = 0;
    for (let tap = 0; tap < taps.length; tap += 1) sum += (pcm[first + tap] ?? 0) * taps[tap]!;
    return sum;
  });
}
