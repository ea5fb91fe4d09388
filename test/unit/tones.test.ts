import { describe, expect, it } from 'vitest';
import {
  aLawDecode,
  aLawEncode,
  muLawDecode,
  muLawEncode,
  PHONE_RATE,
  sine,
  toneLevel,
} from '../support/tones.js';

const codecs = [
  ['µ-law', muLawEncode, muLawDecode],
  ['A-law', aLawEncode, aLawDecode],
] as const;

describe.each(codecs)('%s of the tests', (_name, encode, decode) => {
  it('decodes every code word to a value that encodes to the same one', () => {
    for (let byte = 0; byte < 256; byte += 1) {
      const value = decode(byte);
      expect(decode(encode(value))).toBe(value);
    }
  });

  it('keeps a tone and adds no other', () => {
    const samples = sine(440, PHONE_RATE)(1600).map((sample) => decode(encode(sample)));
    expect(toneLevel(samples, 440, PHONE_RATE)).toBeCloseTo(20 * Math.log10(8000 / 32_768), 0);
    expect(toneLevel(samples, 700, PHONE_RATE)).toBeLessThan(-50);
  });
});

describe('known code words of G.711', () => {
  it('are met', () => {
    expect([muLawEncode(0), muLawEncode(32_767), muLawEncode(-32_767)]).toEqual([0xff, 0x80, 0x00]);
    expect([aLawEncode(0), aLawEncode(32_767), aLawEncode(-32_767)]).toEqual([0xd5, 0xaa, 0x2a]);
  });
});
