import { FRAME_MS, type MixFormat } from '../audio/index.js';
import type { ProgramRate } from '../types.js';

/** The format of a program's mix: samples, written once for all programs that hear the same. */
export function programFormat(rate: ProgramRate): MixFormat {
  return {
    codec: {
      name: 'samples',
      encoderMemory: 'none',
      createEncoder: () => ({ encode: writeSamples }),
    },
    rate,
    fmtp: undefined,
    ptime: FRAME_MS,
    key: `samples ${rate}`,
  };
}

/** Writes samples as signed 16-bit little-endian numbers. @returns the number of bytes */
export function writeSamples(pcm: Int16Array, samples: number, out: Buffer, offset: number): number {
  for (let i = 0, at = offset; i < samples; i += 1, at += 2) {
    const sample = pcm[i]!;
    out[at] = sample & 0xff;
    out[at + 1] = (sample >> 8) & 0xff;
  }
  return 2 * samples;
}
