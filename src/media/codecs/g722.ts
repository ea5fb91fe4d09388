/** G.722 at 64 kbit/s (ITU-T G.722): 16 kHz audio in two sub-bands, each coded by ADPCM. */
import { type AudioCodec, type AudioEncoder, MAX_PACKET_MS, meanSquare } from './codec.js';
import { type Expand, PcmDecoder } from './pcm-decoder.js';

/** Tables of ITU-T G.722 (11/88 and 09/2012), by the names that its section 6 gives them. */

/** Table 11: half of the QMF's 24 coefficients, which are symmetric; every other one, as the filter uses them. */
const QMF = [3, -11, 12, 32, -210, 951, 3876, -805, 362, -156, 53, -11] as const;

/** Table 14: decision levels of the lower sub-band's 6-bit quantiser. */
const Q6 = Int16Array.of(
  ...[0, 35, 72, 110, 150, 190, 233, 276, 323, 370, 422, 473, 530, 587, 650, 714, 786, 858, 940, 1023],
  ...[1121, 1219, 1339, 1458, 1612, 1765, 1980, 2195, 2557, 2919],
);

/** Table 15: 6-bit codes by decision interval (from 1), for negative and for positive differences. */
const ILN = Uint8Array.of(
  ...[0, 63, 62, 31, 30, 29, 28, 27, 26, 25, 24, 23, 22, 21, 20, 19, 18, 17, 16, 15, 14, 13, 12, 11, 10, 9],
  ...[8, 7, 6, 5, 4],
);

const ILP = Uint8Array.of(
  ...[0, 61, 60, 59, 58, 57, 56, 55, 54, 53, 52, 51, 50, 49, 48, 47, 46, 45, 44, 43, 42, 41, 40, 39, 38, 37],
  ...[36, 35, 34, 33, 32],
);

/** Table 17: outputs of the 6-bit and the 4-bit inverse quantisers of the lower sub-band, by code. */
const QM6 = Int16Array.of(
  ...[-136, -136, -136, -136, -24808, -21904, -19008, -16704, -14984, -13512, -12280, -11192, -10232],
  ...[-9360, -8576, -7856, -7192, -6576, -6000, -5456, -4944, -4464, -4008, -3576, -3168, -2776, -2400],
  ...[-2032, -1688, -1360, -1040, -728, 24808, 21904, 19008, 16704, 14984, 13512, 12280, 11192, 10232],
  ...[9360, 8576, 7856, 7192, 6576, 6000, 5456, 4944, 4464, 4008, 3576, 3168, 2776, 2400, 2032, 1688],
  ...[1360, 1040, 728, 432, 136, -432, -136],
);

const QM4 = Int16Array.of(
  ...[0, -20456, -12896, -8968, -6288, -4240, -2584, -1200, 20456, 12896, 8968, 6288, 4240, 2584, 1200, 0],
);

/** Table 21: output of the 2-bit inverse quantiser of the higher sub-band, by code. */
const QM2 = Int16Array.of(-7408, -1616, 7408, 1616);

/** Decision level of the higher sub-band's 2-bit quantiser. */
const Q2 = 564;

/** Logarithmic scale factor multipliers (tables 18 and 22) already looked up by the 4-bit and the 2-bit code. */
const WL = Int16Array.of(
  ...[-60, 3042, 1198, 538, 334, 172, 58, -30, 3042, 1198, 538, 334, 172, 58, -30, -60],
);

const WH = Int16Array.of(798, -214, 798, -214);

/** Table 19: 2 to the power of n/32, times 2048. */
const ILB = Int16Array.of(
  ...[
    2048, 2093, 2139, 2186, 2233, 2282, 2332, 2383, 2435, 2489, 2543, 2599, 2656, 2714, 2774, 2834, 2896,
    2960, 3025, 3091, 3158, 3228, 3298, 3371, 3444, 3520, 3597, 3676, 3756, 3838, 3922, 4008,
  ],
);

/** What differs between the two sub-bands' quantiser adaptation (G.722 blocks 3L and 3H). */
interface BandShape {
  readonly firstScale: number;
  readonly maxLogScale: number;
  /** Shift of the scale factor's linear form. */
  readonly shift: number;
}

/** 0 to 4 kHz, 6 bits. */
const LOWER_BAND: BandShape = { firstScale: 32, maxLogScale: 18432, shift: 8 };

/** 4 to 8 kHz, 2 bits. */
const HIGHER_BAND: BandShape = { firstScale: 8, maxLogScale: 22528, shift: 10 };

const saturate = (value: number): number => (value > 32767 ? 32767 : value < -32768 ? -32768 : value);

/** One sub-band's adaptive predictor and quantiser scale, the same in encoder and decoder (G.722 blocks 3 and 4). */
class G722Band {
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

  follow(other: G722Band): void {
    this.scale = other.scale;
    this.predicted = other.predicted;
    this.#logScale = other.#logScale;
    this.#zeros = other.#zeros;
    this.#a1 = other.#a1;
    this.#a2 = other.#a2;
    this.#r1 = other.#r1;
    this.#r2 = other.#r2;
    this.#p1 = other.#p1;
    this.#p2 = other.#p2;
    this.#b.set(other.#b);
    this.#d.set(other.#d);
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

const TAPS = 24;

const clip = (value: number): number => (value > 32767 ? 32767 : value < -32768 ? -32768 : value);
const clipBand = (value: number): number => (value > 16383 ? 16383 : value < -16384 ? -16384 : value);

/** The last 24 values of a quadrature mirror filter. Each is stored twice in a ring, so that none has to be moved. */
class FilterMemory {
  readonly values = new Int32Array(2 * TAPS);
  /** Index of the oldest value; the 24 values follow one another from here. */
  oldest = 0;

  follow(other: FilterMemory): void {
    this.values.set(other.values);
    this.oldest = other.oldest;
  }

  push(first: number, second: number): void {
    const { values, oldest } = this;
    values[oldest] = first;
    values[oldest + 1] = second;
    values[oldest + TAPS] = first;
    values[oldest + TAPS + 1] = second;
    this.oldest = (oldest + 2) % TAPS;
  }
}

/** Decodes to 16 kHz, or only the lower sub-band, which is the 8 kHz signal. */
class G722Expander {
  readonly #low = new G722Band(LOWER_BAND);
  readonly #high = new G722Band(HIGHER_BAND);
  readonly #memory = new FilterMemory();

  readonly narrow: Expand = (packet, start, end, out, at) => {
    const samples = Math.min(end - start, out.length - at);
    for (let i = 0; i < samples; i += 1) out[at + i] = clip(2 * this.#decodeLow(packet[start + i]! & 0x3f));
    return samples;
  };

  readonly wide: Expand = (packet, start, end, out, at) => {
    const codes = Math.min(end - start, (out.length - at) >> 1);
    for (let i = 0; i < codes; i += 1) {
      const code = packet[start + i]!;
      const low = this.#decodeLow(code & 0x3f);
      const high = this.#decodeHigh(code >> 6);
      this.#memory.push(low + high, low - high);
      this.#synthesise(out, at + 2 * i);
    }
    return 2 * codes;
  };

  #decodeLow(code: number): number {
    const band = this.#low;
    const sample = clipBand(band.predicted + ((band.scale * QM6[code]!) >> 15));
    const core = code >> 2;
    const difference = (band.scale * QM4[core]!) >> 15;
    band.adaptScale(WL[core]!);
    band.predict(difference);
    return sample;
  }

  #decodeHigh(code: number): number {
    const band = this.#high;
    const difference = (band.scale * QM2[code]!) >> 15;
    const sample = clipBand(band.predicted + difference);
    band.adaptScale(WH[code]!);
    band.predict(difference);
    return sample;
  }

  #synthesise(out: Int16Array, at: number): void {
    const { values, oldest } = this.#memory;
    let first = 0;
    let second = 0;
    for (let i = 0; i < QMF.length; i += 1) {
      second += values[oldest + 2 * i]! * QMF[i]!;
      first += values[oldest + 2 * i + 1]! * QMF[QMF.length - 1 - i]!;
    }
    out[at] = clip(first >> 11);
    out[at + 1] = clip(second >> 11);
  }
}

class G722Encoder implements AudioEncoder {
  readonly #low = new G722Band(LOWER_BAND);
  readonly #high = new G722Band(HIGHER_BAND);
  readonly #memory = new FilterMemory();

  follow(other: AudioEncoder): void {
    if (!(other instanceof G722Encoder)) return;
    this.#low.follow(other.#low);
    this.#high.follow(other.#high);
    this.#memory.follow(other.#memory);
  }

  encode(pcm: Int16Array, samples: number, out: Buffer, offset: number): number {
    const codes = samples >> 1;
    const { values } = this.#memory;
    for (let c = 0; c < codes; c += 1) {
      this.#memory.push(pcm[2 * c]!, pcm[2 * c + 1]!);
      const { oldest } = this.#memory;
      let even = 0;
      let odd = 0;
      for (let i = 0; i < QMF.length; i += 1) {
        odd += values[oldest + 2 * i]! * QMF[i]!;
        even += values[oldest + 2 * i + 1]! * QMF[QMF.length - 1 - i]!;
      }
      out[offset + c] = this.#encodeLow((even + odd) >> 14) | (this.#encodeHigh((even - odd) >> 14) << 6);
    }
    return codes;
  }

  #encodeLow(sample: number): number {
    const band = this.#low;
    const error = clip(sample - band.predicted);
    const magnitude = error >= 0 ? error : -(error + 1);
    let interval = 1;
    while (interval < 30 && magnitude >= (Q6[interval]! * band.scale) >> 12) interval += 1;
    const code = error < 0 ? ILN[interval]! : ILP[interval]!;
    const core = code >> 2;
    const difference = (band.scale * QM4[core]!) >> 15;
    band.adaptScale(WL[core]!);
    band.predict(difference);
    return code;
  }

  #encodeHigh(sample: number): number {
    const band = this.#high;
    const error = clip(sample - band.predicted);
    const magnitude = error >= 0 ? error : -(error + 1);
    const outer = magnitude >= (Q2 * band.scale) >> 12;
    const code = error < 0 ? (outer ? 0 : 1) : outer ? 2 : 3;
    const difference = (band.scale * QM2[code]!) >> 15;
    band.adaptScale(WH[code]!);
    band.predict(difference);
    return code;
  }
}

/** G.722 at 64 kbit/s, the only rate in RTP. */
export const G722: AudioCodec = {
  name: 'G722',
  payloadType: 9,
  browserPayloadType: 9,
  ptimes: [10, 20, 30, 40, 60],
  // Not the sample rate: RFC 3551 section 4.5.2 keeps an old error for compatibility.
  clockRate: 8000,
  channels: 1,
  // Ie of G.113 table IV.1. It has no Bpl of G.722: this is that of G.722.2 with the same Ie (table IV.4).
  speechImpairment: { scale: 'wideband', ie: 13, bpl: 4.3, isEstimate: true },
  duration: (_packet, start, end) => end - start,
  mixRate: () => 16000,
  createDecoder: (rate) => {
    const expander = new G722Expander();
    return rate === 8000
      ? new PcmDecoder(expander.narrow, 8000, 8000)
      : new PcmDecoder(expander.wide, 16000, rate);
  },
  // Nearly all of speech is in the lower sub-band, which needs no filter and half of the work.
  createLevelMeter: () => {
    const { narrow } = new G722Expander();
    const pcm = new Int16Array(8 * MAX_PACKET_MS);
    return (packet, start, end) => meanSquare(pcm, 0, narrow(packet, start, end, pcm, 0));
  },
  hasCheapLevel: false,
  encoderMemory: 'copied',
  createEncoder: () => new G722Encoder(),
};
