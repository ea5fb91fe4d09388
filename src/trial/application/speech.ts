import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { buffer } from 'node:stream/consumers';
import { Resampler } from '../../shared/index.js';

const LIMIT_MS = 10_000;
const MAX_CHARACTERS = 600;
/** How long a sentence takes, about. */
const MS_PER_CHARACTER = 65;
const TONE_HZ = 440;

/** About how long it takes to say a text, in ms. */
export const speechMs = (text: string): number => Math.max(500, text.length * MS_PER_CHARACTER);

/** Speech of 16 bits, mono. `isSpoken`: false for the tone that stands in where espeak-ng is not installed. */
interface Speech {
  readonly samples: Int16Array;
  readonly isSpoken: boolean;
}

/** Says a text by espeak-ng, where that is installed; otherwise there is a tone of about the same length. */
export async function speak(text: string, locale: string | undefined, rate: number): Promise<Speech> {
  const wav = await espeak(text.slice(0, MAX_CHARACTERS), locale);
  const spoken = wav && samplesOf(wav, rate);
  return spoken
    ? { samples: spoken, isSpoken: true }
    : { samples: tone(speechMs(text), rate), isSpoken: false };
}

async function espeak(text: string, locale: string | undefined): Promise<Buffer | undefined> {
  const voice = /^[a-z]{2,3}/.exec(locale?.toLowerCase() ?? '')?.[0] ?? 'en';
  const child = spawn('espeak-ng', ['--stdin', '--stdout', '-v', voice, '-s', '150'], {
    stdio: ['pipe', 'pipe', 'ignore'],
    timeout: LIMIT_MS,
    killSignal: 'SIGKILL',
  });
  try {
    const exit = once(child, 'close') as Promise<[number | null]>;
    // A program that ends early does not read all.
    child.stdin.on('error', () => undefined);
    child.stdin.end(text);
    const [wav, [code]] = await Promise.all([buffer(child.stdout), exit]);
    return code === 0 ? wav : undefined;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

/** The samples of a WAV file as espeak-ng writes it: PCM, mono, lengths unknown. Undefined when it is none. */
export function samplesOf(wav: Buffer, rate: number): Int16Array | undefined {
  const data = wav.indexOf('data');
  if (wav.toString('latin1', 0, 4) !== 'RIFF' || data < 36) return undefined;
  const from = wav.readUInt32LE(24);
  const bytes = wav.subarray(data + 8);
  const samples = new Int16Array(Math.floor(bytes.length / 2));
  for (let i = 0; i < samples.length; i += 1) samples[i] = bytes.readInt16LE(2 * i);
  return resampled(samples, from, rate);
}

export function resampled(samples: Int16Array, from: number, to: number): Int16Array {
  if (from === to) return samples;
  const resampler = new Resampler(from, to);
  const out = new Int16Array(resampler.room(samples.length));
  return out.subarray(0, resampler.process(samples, samples.length, out));
}

function tone(ms: number, rate: number): Int16Array {
  const length = Math.round((ms * rate) / 1000);
  return Int16Array.from({ length }, (_, i) =>
    Math.round(6_000 * Math.sin((2 * Math.PI * TONE_HZ * i) / rate)),
  );
}
