import { describe, expect, it } from 'vitest';
import { AUDIO_CODECS } from './registry.js';

describe.each(AUDIO_CODECS.map((codec) => [codec.name, codec] as const))(
  'the level meter of %s',
  (_, codec) => {
    const rate = codec.mixRate();
    /** Levels in dB of 400 ms of a tone, the last half of it. */
    function levels(amplitude: number): number[] {
      const [encoder, meter] = [codec.createEncoder(rate), codec.createLevelMeter()];
      const samples = rate / 50;
      const packet = Buffer.alloc(1500);
      return Array.from({ length: 20 }, (_unused, n) => {
        const pcm = Int16Array.from({ length: samples }, (_sample, i) =>
          Math.round(amplitude * Math.sin((2 * Math.PI * 500 * (n * samples + i)) / rate)),
        );
        const length = encoder.encode(pcm, samples, packet, 12);
        return 10 * Math.log10(meter(packet, 12, 12 + length));
      }).slice(10);
    }

    it.each([32_000, 8_000, 1_000])('is the level of a tone of amplitude %i within 1.5 dB', (amplitude) => {
      const expected = 20 * Math.log10(amplitude / 32768) - 3.01;
      for (const level of levels(amplitude)) expect(Math.abs(level - expected)).toBeLessThan(1.5);
    });

    it('is none for a payload without audio', () => {
      const level = codec.createLevelMeter()(Buffer.alloc(12), 12, 12);
      expect(Number.isNaN(level)).toBe(true);
    });
  },
);
