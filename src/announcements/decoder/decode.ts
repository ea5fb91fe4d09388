import { readFileSync } from 'node:fs';
import { type Chunk, SoundError } from './chunk.js';
import { isMp3, mp3Chunks } from './mp3.js';
import { isOgg, oggOpusChunks } from './ogg-opus.js';
import { type SoundRate, SoundWriter } from './sound-writer.js';
import { toneChunk } from './tones.js';
import { isWav, wavChunks } from './wav.js';

/** What the decoder is to read: a file in one of the known formats, or a tone that it makes itself. */
export type SoundInput = { readonly file: string } | { readonly tone: string };

export interface DecodeJob {
  readonly input: SoundInput;
  /** Path of the new file. */
  readonly target: string;
  readonly maxSeconds: number;
}

export interface DecodedSound {
  readonly rate: SoundRate;
  readonly samples: number;
}

/** Decodes a file, by what it begins with, not by what it is called. @throws SoundError */
export async function decode({ input, target, maxSeconds }: DecodeJob): Promise<DecodedSound> {
  const writer = new SoundWriter(target, maxSeconds);
  for await (const chunk of 'tone' in input ? [toneChunk(input.tone)] : chunksOf(readFileSync(input.file)))
    writer.write(chunk);
  return writer.finish();
}

function chunksOf(file: Buffer): Iterable<Chunk> | AsyncIterable<Chunk> {
  if (isWav(file)) return wavChunks(file);
  if (isOgg(file)) return oggOpusChunks(file);
  if (isMp3(file)) return mp3Chunks(file);
  throw new SoundError('The file is neither WAV nor Ogg Opus nor MP3.');
}
