/** Some consecutive sound of a file: samples of each channel, full scale 1. */
export interface Chunk {
  readonly rate: number;
  readonly channels: readonly Float32Array[];
}

/** The sound cannot be played; the message says why, for people. */
export class SoundError extends Error {
  override readonly name = 'SoundError';
}

/** Frames in a chunk of a file that is read at once. */
export const CHUNK_FRAMES = 16_384;
