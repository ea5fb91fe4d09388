/** G.711 µ-law and A-law (ITU-T G.711), by tables made from the standard's segments. */
import { PcmDecoder } from './pcm-decoder.js';
import type { AudioCodec, AudioEncoder, LevelMeter } from './codec.js';

const MU_BIAS = 0x84;
const MU_CLIP = 32635;

/** One µ-law byte as a 16-bit sample. */
export function expandMuLaw(byte: number): number {
  const value = ~byte & 0xff;
  const magnitude = ((((value & 0x0f) << 3) + MU_BIAS) << ((value & 0x70) >> 4)) - MU_BIAS;
  return (value & 0x80) !== 0 ? -magnitude : magnitude;
}

/** A 16-bit sample as one µ-law byte. */
export function compressMuLaw(sample: number): number {
  const sign = sample < 0 ? 0x80 : 0;
  const magnitude = Math.min(Math.abs(sample), MU_CLIP) + MU_BIAS;
  const segment = 24 - Math.clz32(magnitude);
  return ~(sign | (segment << 4) | ((magnitude >> (segment + 3)) & 0x0f)) & 0xff;
}

/** One A-law byte as a 16-bit sample. */
export function expandALaw(byte: number): number {
  const value = byte ^ 0x55;
  const segment = (value & 0x70) >> 4;
  const step = ((value & 0x0f) << 4) + 8;
  const magnitude = segment === 0 ? step : (step + 0x100) << (segment - 1);
  return (value & 0x80) !== 0 ? magnitude : -magnitude;
}

/** A 16-bit sample as one A-law byte. */
export function compressALaw(sample: number): number {
  const sign = sample < 0 ? 0 : 0x80;
  // Negative values are inverted, not negated, so that both halves have as many steps.
  const magnitude = sample < 0 ? ~sample : sample;
  const segment = magnitude < 0x100 ? 0 : 24 - Math.clz32(magnitude);
  const step = segment === 0 ? magnitude >> 4 : magnitude >> (segment + 3);
  return (sign | (segment << 4) | (step & 0x0f)) ^ 0x55;
}

class G711Encoder implements AudioEncoder {
  readonly #table: Uint8Array;

  constructor(table: Uint8Array) {
    this.#table = table;
  }

  encode(pcm: Int16Array, samples: number, out: Buffer, offset: number): number {
    const table = this.#table;
    for (let i = 0; i < samples; i += 1) out[offset + i] = table[pcm[i]! & 0xffff]!;
    return samples;
  }
}

function g711(
  name: string,
  payloadType: number,
  expand: (byte: number) => number,
  compress: (sample: number) => number,
): AudioCodec {
  const expanded = Int16Array.from({ length: 0x100 }, (_, byte) => expand(byte));
  const compressed = Uint8Array.from({ length: 0x10000 }, (_, bits) => compress((bits << 16) >> 16));
  const squares = Float64Array.from(expanded, (sample) => (sample * sample) / 0x4000_0000);
  const meter: LevelMeter = (packet, start, end) => {
    let sum = 0;
    for (let i = start; i < end; i += 1) sum += squares[packet[i]!]!;
    return sum / (end - start);
  };
  const expandInto = (packet: Buffer, start: number, end: number, out: Int16Array, at: number): number => {
    const samples = Math.min(end - start, out.length - at);
    for (let i = 0; i < samples; i += 1) out[at + i] = expanded[packet[start + i]!]!;
    return samples;
  };
  return {
    name,
    payloadType,
    browserPayloadType: payloadType,
    ptimes: [10, 20, 30, 40, 60],
    clockRate: 8000,
    channels: 1,
    // G.113 appendix I, with concealment.
    speechImpairment: { scale: 'narrowband', ie: 0, bpl: 25.1 },
    duration: (_packet, start, end) => end - start,
    mixRate: () => 8000,
    createDecoder: (rate) => new PcmDecoder(expandInto, 8000, rate),
    createLevelMeter: () => meter,
    hasCheapLevel: true,
    encoderMemory: 'none',
    createEncoder: () => new G711Encoder(compressed),
  };
}

/** G.711 µ-law. */
export const PCMU = g711('PCMU', 0, expandMuLaw, compressMuLaw);
/** G.711 A-law. */
export const PCMA = g711('PCMA', 8, expandALaw, compressALaw);
