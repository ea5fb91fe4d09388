import { readFileSync } from 'node:fs';
import type { SampleRate } from '../../codecs/index.js';
import { expandMuLaw } from '../../codecs/g711.js';
import { resample } from './stoi.js';

const RATE = 16_000;

/**
 * Six seconds of speech, by espeak-ng 1.51 (`-v en -s 168`), whose output is free of any licence: "The gateway joins phone
 * calls and web pages. Please hold the line while she reads the evening paper." The file has it in µ-law at 16 kHz.
 */
export function spoken(rate: SampleRate): Int16Array {
  const file = readFileSync(new URL('../../../../test/fixtures/speech.ulaw', import.meta.url));
  const pcm = Int16Array.from(file, expandMuLaw);
  if (rate === RATE) return pcm;
  return Int16Array.from(resample(pcm, RATE, rate), (sample) =>
    Math.max(-32768, Math.min(32767, Math.round(sample))),
  );
}
