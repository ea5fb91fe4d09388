import { afterEach, describe, expect, it, vi } from 'vitest';
import { toneLevel } from '../../../test/support/tones.js';
import { samplesOf, speak } from './speech.js';

afterEach(() => vi.unstubAllEnvs());

describe('speech', () => {
  it('is a tone where espeak-ng is not installed', async () => {
    vi.stubEnv('PATH', '/nonexistent');
    const { samples, isSpoken } = await speak('How are you today?', undefined, 8000);
    expect(isSpoken).toBe(false);
    expect(samples.length).toBe(8 * 18 * 65);
    expect(toneLevel(samples, 440, 8000)).toBeGreaterThan(-20);
  });

  it('is read from WAV, at the rate of the call', () => {
    const wav = Buffer.alloc(44 + 2 * 2205);
    wav.write('RIFF', 0);
    wav.writeUInt32LE(22_050, 24);
    wav.write('data', 36);
    for (let i = 0; i < 2205; i += 1) wav.writeInt16LE(1000, 44 + 2 * i);
    const samples = samplesOf(wav, 8000)!;
    expect(Math.abs(samples.length - 800)).toBeLessThan(2);
    expect(samples[700]).toBe(1000);
    expect(samplesOf(Buffer.from('no sound'), 8000)).toBeUndefined();
  });
});
