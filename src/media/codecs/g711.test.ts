import { describe, expect, it } from 'vitest';
import { compressALaw, compressMuLaw, expandALaw, expandMuLaw, PCMU } from './g711.js';

const bytes = Array.from({ length: 256 }, (_, i) => i);
const samples = Array.from({ length: 65536 }, (_, i) => i - 32768);

/**
 * Decoder output values of ITU-T G.711 tables 1a/1b (A-law, 13 bits) and 2a/2b (µ-law, 14 bits), shifted to 16 bits:
 * the first character signal of each positive segment, and the ends.
 */
const MU_LAW: [byte: number, sample: number][] = [
  [0x80, 32124],
  [0x8f, 16764],
  [0x9f, 8316],
  [0xaf, 4092],
  [0xbf, 1980],
  [0xcf, 924],
  [0xdf, 396],
  [0xef, 132],
  [0xfe, 8],
  [0xff, 0],
];
const A_LAW: [byte: number, sample: number][] = [
  [0xaa, 32256],
  [0xa5, 16896],
  [0xb5, 8448],
  [0x85, 4224],
  [0x95, 2112],
  [0xe5, 1056],
  [0xf5, 528],
  [0xc5, 264],
  [0xd5, 8],
];

describe('G.711 decoder tables', () => {
  it.each(MU_LAW)('µ-law %i is %i, and its mirror', (byte, sample) => {
    expect(expandMuLaw(byte)).toBe(sample);
    expect(expandMuLaw(byte ^ 0x80) + 0).toBe(sample === 0 ? 0 : -sample);
  });

  it.each(A_LAW)('A-law %i is %i, and its mirror', (byte, sample) => {
    expect(expandALaw(byte)).toBe(sample);
    expect(expandALaw(byte ^ 0x80)).toBe(-sample);
  });
});

describe.each([
  ['µ-law', expandMuLaw, compressMuLaw],
  ['A-law', expandALaw, compressALaw],
] as const)('G.711 %s encoder', (law, expand, compress) => {
  it('gives back every byte of the decoder', () => {
    // µ-law has two zeros; the encoder gives the positive one.
    const expected = bytes.map((byte) => (law === 'µ-law' && byte === 0x7f ? 0xff : byte));
    expect(bytes.map((byte) => compress(expand(byte)))).toEqual(expected);
  });

  it('rises with the sample, and errs by half a step of its segment at most', () => {
    let last = -Infinity;
    for (const sample of samples) {
      const value = expand(compress(sample));
      if (value < last) expect.fail(`falls at ${sample}`);
      last = value;
      // Sixteen steps to a segment, each segment twice the one before it: a step is at most 1/16 of the value.
      const halfStep = Math.max(law === 'µ-law' ? 4 : 8, (Math.abs(sample) + 132) / 32);
      const clipped = Math.max(0, Math.abs(sample) - 32635);
      if (Math.abs(value - sample) > halfStep + clipped + 1) expect.fail(`sample ${sample}: ${value}`);
    }
  });
});

describe('PCMU decoder', () => {
  it('keeps a tone through a lost packet, and fades in a long gap', () => {
    const decoder = PCMU.createDecoder(8000);
    const encoder = PCMU.createEncoder(8000);
    const packet = Buffer.alloc(160);
    const pcm = new Int16Array(160);
    const rms = (): number => Math.sqrt(pcm.reduce((sum, s) => sum + s * s, 0) / pcm.length);
    for (let frame = 0; frame < 5; frame += 1) {
      const tone = Int16Array.from({ length: 160 }, (_, i) =>
        Math.round(8000 * Math.sin((2 * Math.PI * 400 * (frame * 160 + i)) / 8000)),
      );
      encoder.encode(tone, 160, packet, 0);
      decoder.decode(packet, 0, 160, pcm, 0);
    }
    const before = rms();
    decoder.conceal(160, pcm, 0);
    expect(rms()).toBeGreaterThan(before * 0.7);
    for (let i = 0; i < 4; i += 1) decoder.conceal(160, pcm, 0);
    expect(rms()).toBe(0);
  });
});
