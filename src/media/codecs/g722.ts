/** G.722 at 64 kbit/s (ITU-T G.722): 16 kHz audio in two sub-bands, each coded by ADPCM. */
import type { AudioCodec, AudioEncoder } from './codec.js';
import {
  G722Band,
  HIGHER_BAND,
  ILN,
  ILP,
  LOWER_BAND,
  Q2,
  Q6,
  QM2,
  QM4,
  QM6,
  QMF,
  WH,
  WL,
} from './g722-band.js';
import { type Expand, PcmDecoder } from './pcm-decoder.js';

const TAPS = 24;

const clip = (value: number): number => (value > 32767 ? 32767 : value < -32768 ? -32768 : value);
const clipBand = (value: number): number => (value > 16383 ? 16383 : value < -16384 ? -16384 : value);

/** The last 24 values of a quadrature mirror filter. Each is stored twice in a ring, so that none has to be moved. */
class FilterMemory {
  readonly values = new Int32Array(2 * TAPS);
  /** Index of the oldest value; the 24 values follow one another from here. */
  oldest = 0;

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
  duration: (_packet, start, end) => end - start,
  mixRate: () => 16000,
  createDecoder: (rate) => {
    const expander = new G722Expander();
    return rate === 8000
      ? new PcmDecoder(expander.narrow, 8000, 8000)
      : new PcmDecoder(expander.wide, 16000, rate);
  },
  createEncoder: () => new G722Encoder(),
};
