import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { sine, toneLevel } from '../phone/testing/spectrum.js';
import type { SampleRate } from './codec.js';
import { OPUS, opusDuration } from './opus.js';

function encodeTone(rate: SampleRate, frames: number): Buffer[] {
  const encoder = OPUS.createEncoder(rate);
  const samples = rate / 50;
  return Array.from({ length: frames }, (_, i) => {
    const out = Buffer.alloc(1500);
    return out.subarray(0, encoder.encode(sine(400, rate, samples, i * samples), samples, out, 0));
  });
}

describe('Opus', () => {
  it.each([8000, 16000, 24000, 48000] as const)(
    'decodes straight to %i Hz, over lost and broken packets',
    (rate) => {
      const decoder = OPUS.createDecoder(rate);
      const pcm = new Int16Array((rate / 1000) * 120);
      const heard: number[] = [];
      for (const [i, packet] of encodeTone(48000, 30).entries()) {
        if (i === 15) {
          expect(decoder.decode(Buffer.from([0xff, 0xff, 1, 2]), 0, 4, pcm, 0)).toBe(0);
          decoder.conceal(rate / 50, pcm, 0);
        } else {
          expect(decoder.decode(packet, 0, packet.length, pcm, 0)).toBe(rate / 50);
        }
        heard.push(...pcm.subarray(0, rate / 50));
      }
      expect(toneLevel(Int16Array.from(heard.slice(-rate / 5)), rate, 400)).toBeGreaterThan(0.15);
      const aroundLoss = Int16Array.from(heard.slice((15 * rate) / 50, (16 * rate) / 50));
      expect(toneLevel(aroundLoss, rate, 400)).toBeGreaterThan(0.1);
    },
  );

  it.each([
    ['20 ms SILK', [0x08], 960],
    ['60 ms SILK', [0x18], 2880],
    ['2.5 ms CELT', [0x80], 120],
    ['two frames of 20 ms', [0xf9], 1920],
    ['three frames by count', [0xfb, 3], 2880],
    ['more than 120 ms', [0xfb, 7], 0],
    ['count missing', [0xfb], 0],
    ['no frame', [0xfb, 0], 0],
    ['empty', [], 0],
  ])('reads the duration of a packet: %s', (_what, bytes, samples) => {
    expect(opusDuration(Uint8Array.from(bytes), 0, bytes.length)).toBe(samples);
  });

  it('mixes for a phone at the rate it says it plays', () => {
    expect(OPUS.mixRate()).toBe(48000);
    expect(OPUS.mixRate('useinbandfec=1; maxplaybackrate=16000')).toBe(16000);
    expect(OPUS.mixRate('maxplaybackrate=8000;stereo=0')).toBe(8000);
  });

  it('encodes silence like any sound unless the receiver asks for DTX', () => {
    const sizes = (fmtp?: string): number[] => {
      const encoder = OPUS.createEncoder(48000, fmtp);
      const out = Buffer.alloc(1500);
      return Array.from({ length: 60 }, () => encoder.encode(new Int16Array(960), 960, out, 0));
    };
    const stopped = (all: number[]): number => all.filter((bytes) => bytes <= 2).length;
    expect(stopped(sizes('useinbandfec=1;usedtx=1'))).toBeGreaterThan(20);
    for (const fmtp of [undefined, 'usedtx=0', 'x-usedtx=1']) expect(stopped(sizes(fmtp))).toBe(0);
  });

  it('encodes as a new encoder does once it is reset', () => {
    const packets = (encoder: ReturnType<typeof OPUS.createEncoder>): string[] =>
      Array.from({ length: 20 }, (_, i) => {
        const out = Buffer.alloc(1500);
        return out.toString('hex', 0, encoder.encode(sine(300, 48_000, 960, i * 960), 960, out, 0));
      });
    const used = OPUS.createEncoder(48_000, 'usedtx=1');
    packets(used);
    const second = packets(used);
    used.reset!();
    const fresh = packets(OPUS.createEncoder(48_000, 'usedtx=1'));
    expect(second).not.toEqual(fresh);
    expect(packets(used)).toEqual(fresh);
  });

  it('never throws, and continues, whatever a payload holds', () => {
    const decoder = OPUS.createDecoder(16000);
    const pcm = new Int16Array(16 * 120);
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 80 }), (bytes) => {
        const samples = decoder.decode(Buffer.from(bytes), 0, bytes.length, pcm, 0);
        expect(samples).toBeGreaterThanOrEqual(0);
        expect(samples).toBeLessThanOrEqual(pcm.length);
        decoder.conceal(160, pcm, 0);
      }),
      { numRuns: 500 },
    );
    const [packet] = encodeTone(16000, 1);
    expect(decoder.decode(packet!, 0, packet!.length, pcm, 0)).toBe(320);
  });
});
