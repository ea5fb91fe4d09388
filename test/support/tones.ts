/** Samples per second of telephone audio. */
export const PHONE_RATE = 8000;

/** G.711 µ-law (ITU-T G.711), written for tests from the standard's tables and not shared with the gateway. */
export function muLawEncode(sample: number): number {
  const bias = 0x84;
  const sign = sample < 0 ? 0x80 : 0;
  const magnitude = Math.min(Math.abs(sample), 32_635) + bias;
  const exponent = Math.floor(Math.log2(magnitude)) - 7;
  const mantissa = (magnitude >> (exponent + 3)) & 0x0f;
  return ~(sign | (exponent << 4) | mantissa) & 0xff;
}

export function muLawDecode(byte: number): number {
  const value = ~byte & 0xff;
  const magnitude = ((((value & 0x0f) << 3) + 0x84) << ((value & 0x70) >> 4)) - 0x84;
  return value & 0x80 ? 0 - magnitude : magnitude;
}

/** G.711 A-law. */
export function aLawEncode(sample: number): number {
  const sign = sample < 0 ? 0 : 0x80;
  const magnitude = Math.min(Math.abs(sample), 32_767) >> 4;
  const segment = magnitude < 16 ? 0 : Math.floor(Math.log2(magnitude)) - 3;
  const mantissa = (magnitude >> Math.max(segment - 1, 0)) & 0x0f;
  return (sign | (segment << 4) | mantissa) ^ 0x55;
}

export function aLawDecode(byte: number): number {
  const value = byte ^ 0x55;
  const segment = (value & 0x70) >> 4;
  const base = ((value & 0x0f) << 4) + 8;
  const magnitude = segment === 0 ? base : (base + 0x100) << (segment - 1);
  return value & 0x80 ? magnitude : -magnitude;
}

/** A sine that goes on from call to call. @returns makes the next `count` samples */
export function sine(frequency: number, rate: number, amplitude = 8000): (count: number) => Int16Array {
  let n = 0;
  return (count) =>
    Int16Array.from({ length: count }, () =>
      Math.round(amplitude * Math.sin((2 * Math.PI * frequency * n++) / rate)),
    );
}

/** The level of one frequency in dB relative to a full-scale sine, by Goertzel with a Hann window. */
export function toneLevel(samples: Int16Array, frequency: number, rate: number): number {
  const coefficient = 2 * Math.cos((2 * Math.PI * frequency) / rate);
  let before = 0;
  let beforeThat = 0;
  let weight = 0;
  for (let i = 0; i < samples.length; i += 1) {
    const window = 0.5 - 0.5 * Math.cos((2 * Math.PI * i) / samples.length);
    weight += window;
    const now = samples[i]! * window + coefficient * before - beforeThat;
    beforeThat = before;
    before = now;
  }
  if (weight === 0) return -Infinity;
  const power = before * before + beforeThat * beforeThat - coefficient * before * beforeThat;
  const amplitude = (2 * Math.sqrt(Math.max(power, 0))) / weight;
  return 20 * Math.log10(amplitude / 32_768);
}
