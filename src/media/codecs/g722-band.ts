import { ILB } from './g722-tables.js';

/** What differs between the two sub-bands' quantiser adaptation (G.722 blocks 3L and 3H). */
interface BandShape {
  readonly firstScale: number;
  readonly maxLogScale: number;
  /** Shift of the scale factor's linear form. */
  readonly shift: number;
}

/** 0 to 4 kHz, 6 bits. */
export const LOWER_BAND: BandShape = { firstScale: 32, maxLogScale: 18432, shift: 8 };
/** 4 to 8 kHz, 2 bits. */
export const HIGHER_BAND: BandShape = { firstScale: 8, maxLogScale: 22528, shift: 10 };

const saturate = (value: number): number => (value > 32767 ? 32767 : value < -32768 ? -32768 : value);

/** One sub-band's adaptive predictor and quantiser scale, the same in encoder and decoder (G.722 blocks 3 and 4). */
export class G722Band {
  /** DET: scale factor of the quantisers. */
  scale: number;
  /** S: the predicted sample. */
  predicted = 0;
  readonly #shape: BandShape;
  #logScale = 0;
  /** SZ: the zero predictor's part of the prediction. */
  #zeros = 0;
  /** A1 and A2: pole predictor. */
  #a1 = 0;
  #a2 = 0;
  /** R and P of the last two samples. */
  #r1 = 0;
  #r2 = 0;
  #p1 = 0;
  #p2 = 0;
  /** B and D of the zero predictor, the latest first. */
  readonly #b = new Int32Array(6);
  readonly #d = new Int32Array(6);

  constructor(shape: BandShape) {
    this.#shape = shape;
    this.scale = shape.firstScale;
  }

  /** LOGSCL and SCALEL, or LOGSCH and SCALEH: follows the size of what was coded. */
  adaptScale(multiplier: number): void {
    const { maxLogScale, shift } = this.#shape;
    const log = ((this.#logScale * 127) >> 7) + multiplier;
    this.#logScale = log < 0 ? 0 : log > maxLogScale ? maxLogScale : log;
    const mantissa = ILB[(this.#logScale >> 6) & 31]!;
    const exponent = shift - (this.#logScale >> 11);
    this.scale = (exponent < 0 ? mantissa << -exponent : mantissa >> exponent) << 2;
  }

  /** Takes the quantised difference and predicts the next sample. */
  predict(difference: number): void {
    const r = saturate(this.predicted + difference);
    const p = saturate(this.#zeros + difference);
    this.#adaptPoles(p);
    this.#adaptZeros(difference);
    this.#r2 = this.#r1;
    this.#r1 = r;
    this.#p2 = this.#p1;
    this.#p1 = p;
    const poles = saturate(
      ((this.#a1 * saturate(2 * this.#r1)) >> 15) + ((this.#a2 * saturate(2 * this.#r2)) >> 15),
    );
    this.predicted = saturate(poles + this.#zeros);
  }

  /** UPPOL2 and UPPOL1. */
  #adaptPoles(p: number): void {
    const sameAsLast = p < 0 === this.#p1 < 0;
    const sameAsSecond = p < 0 === this.#p2 < 0;
    const a1Times4 = saturate(this.#a1 * 4);
    const change = saturate(sameAsLast ? -a1Times4 : a1Times4) >> 7;
    const a2 = (sameAsSecond ? 128 : -128) + change + ((this.#a2 * 32512) >> 15);
    this.#a2 = a2 > 12288 ? 12288 : a2 < -12288 ? -12288 : a2;
    const a1 = saturate((sameAsLast ? 192 : -192) + ((this.#a1 * 32640) >> 15));
    const limit = saturate(15360 - this.#a2);
    this.#a1 = a1 > limit ? limit : a1 < -limit ? -limit : a1;
  }

  /** UPZERO, DELAYA and FILTEZ. */
  #adaptZeros(difference: number): void {
    const b = this.#b;
    const d = this.#d;
    const step = difference === 0 ? 0 : 128;
    let newer = difference;
    let sum = 0;
    for (let i = 0; i < 6; i += 1) {
      const older = d[i]!;
      const sameSign = older < 0 === difference < 0;
      const coefficient = saturate((sameSign ? step : -step) + ((b[i]! * 32640) >> 15));
      b[i] = coefficient;
      d[i] = newer;
      sum += (coefficient * saturate(2 * newer)) >> 15;
      newer = older;
    }
    this.#zeros = saturate(sum);
  }
}
