import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { G722 } from './g722.js';

/** 100 ms of tones in both bands, noise, a loud part and silence, coded and decoded by spandsp 3 (base64). */
const reference = JSON.parse(
  readFileSync(new URL('testing/g722-spandsp.json', import.meta.url), 'utf8'),
) as Record<'pcm' | 'g722' | 'decoded' | 'decoded8k', string>;

const bytes = (name: keyof typeof reference): Buffer => Buffer.from(reference[name], 'base64');
const samples = (name: keyof typeof reference): Int16Array =>
  new Int16Array(Uint8Array.from(bytes(name)).buffer);

describe('G.722', () => {
  const code = bytes('g722');

  it('encodes bit for bit as the reference, packet by packet', () => {
    const pcm = samples('pcm');
    const encoder = G722.createEncoder(16000);
    const out = Buffer.alloc(code.length);
    for (let at = 0; at < pcm.length; at += 320) encoder.encode(pcm.subarray(at), 320, out, at / 2);
    expect(out.equals(code)).toBe(true);
  });

  it('decodes bit for bit as the reference', () => {
    const out = new Int16Array(2 * code.length);
    expect(G722.createDecoder(16000).decode(code, 0, code.length, out, 0)).toBe(1600);
    expect(out).toEqual(samples('decoded'));
  });

  it('decodes to 8 kHz from the lower band only', () => {
    const out = new Int16Array(code.length);
    expect(G722.createDecoder(8000).decode(code, 0, code.length, out, 0)).toBe(800);
    expect(out).toEqual(samples('decoded8k'));
  });

  it('decodes to 48 kHz', () => {
    expect(G722.createDecoder(48000).decode(code, 0, 160, new Int16Array(5760), 0)).toBe(960);
    expect(G722.createDecoder(24000).decode(code, 0, 160, new Int16Array(5760), 0)).toBe(480);
  });
});
