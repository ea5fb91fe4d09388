import { type Chunk, CHUNK_FRAMES, SoundError } from './chunk.js';

const PCM = 1;
const FLOAT = 3;
const A_LAW = 6;
const MU_LAW = 7;
const EXTENSIBLE = 0xfffe;

const MAX_CHANNELS = 8;
const MIN_RATE = 4_000;
const MAX_RATE = 192_000;

/** The position of a sample in the file gives its value, full scale 1. */
type ReadSample = (file: Buffer, at: number) => number;

interface WavFormat {
  readonly channels: number;
  readonly rate: number;
  readonly sampleBytes: number;
  readonly read: ReadSample;
}

export const isWav = (file: Buffer): boolean =>
  ['RIFF', 'RF64'].includes(file.toString('latin1', 0, 4)) && file.toString('latin1', 8, 12) === 'WAVE';

/**
 * Reads a WAV file. Its data are as long as they say, or as the file: programs that write to a pipe, such as speech
 * synthesis, do not know the length when they write the header.
 * @throws SoundError
 */
export function* wavChunks(file: Buffer): Generator<Chunk> {
  let format: WavFormat | undefined;
  for (let at = 12; at + 8 <= file.length;) {
    const id = file.toString('latin1', at, at + 4);
    const size = file.readUInt32LE(at + 4);
    const end = Math.min(file.length, at + 8 + size);
    if (id === 'fmt ') format = readFormat(file.subarray(at + 8, end));
    if (id === 'data') {
      if (!format) throw new SoundError('The WAV file has no description of its format before its data.');
      yield* samples(file.subarray(at + 8, size === 0 ? file.length : end), format);
      return;
    }
    // Chunks begin at even positions.
    at = end + (size & 1);
  }
  throw new SoundError('The WAV file has no data.');
}

function readFormat(chunk: Buffer): WavFormat {
  if (chunk.length < 16) throw new SoundError('The WAV file is damaged.');
  const channels = chunk.readUInt16LE(2);
  const rate = chunk.readUInt32LE(4);
  const bits = chunk.readUInt16LE(14);
  let code = chunk.readUInt16LE(0);
  // The code proper is the beginning of a GUID.
  if (code === EXTENSIBLE && chunk.length >= 26) code = chunk.readUInt16LE(24);
  if (channels < 1 || channels > MAX_CHANNELS) {
    throw new SoundError(`The WAV file has ${channels} channels; 1 to ${MAX_CHANNELS} can be played.`);
  }
  if (rate < MIN_RATE || rate > MAX_RATE) {
    throw new SoundError(`The WAV file has a rate of ${rate} Hz; ${MIN_RATE} to ${MAX_RATE} can be played.`);
  }
  const read = readers.get(`${code}/${bits}`);
  if (!read) {
    throw new SoundError(
      `The WAV file has format ${code} with ${bits} bits; PCM, float, A-law and mu-law can be played.`,
    );
  }
  return { channels, rate, sampleBytes: bits / 8, read };
}

/** By the format's code and its bits. */
const readers = new Map<string, ReadSample>([
  [`${PCM}/8`, (file, at) => (file[at]! - 128) / 128],
  [`${PCM}/16`, (file, at) => file.readInt16LE(at) / 32_768],
  [`${PCM}/24`, (file, at) => file.readIntLE(at, 3) / 8_388_608],
  [`${PCM}/32`, (file, at) => file.readInt32LE(at) / 2_147_483_648],
  [`${FLOAT}/32`, (file, at) => finite(file.readFloatLE(at))],
  [`${FLOAT}/64`, (file, at) => finite(file.readDoubleLE(at))],
  [`${A_LAW}/8`, (file, at) => fromALaw(file[at]!) / 32_768],
  [`${MU_LAW}/8`, (file, at) => fromMuLaw(file[at]!) / 32_768],
]);

const finite = (value: number): number => (Number.isFinite(value) ? value : 0);

/** ITU-T G.711: three bits of segment, four of interval; even bits are inverted. */
function fromALaw(byte: number): number {
  const code = byte ^ 0x55;
  const segment = (code >> 4) & 7;
  const interval = ((code & 0x0f) << 4) + 8;
  const magnitude = segment === 0 ? interval : (interval + 0x100) << (segment - 1);
  return code & 0x80 ? magnitude : -magnitude;
}

/** ITU-T G.711: all bits are inverted. */
function fromMuLaw(byte: number): number {
  const code = ~byte & 0xff;
  const magnitude = ((((code & 0x0f) << 3) + 0x84) << ((code >> 4) & 7)) - 0x84;
  return code & 0x80 ? -magnitude : magnitude;
}

function* samples(data: Buffer, { channels, rate, sampleBytes, read }: WavFormat): Generator<Chunk> {
  const frameBytes = channels * sampleBytes;
  const frames = Math.floor(data.length / frameBytes);
  for (let first = 0; first < frames; first += CHUNK_FRAMES) {
    const length = Math.min(CHUNK_FRAMES, frames - first);
    yield {
      rate,
      channels: Array.from({ length: channels }, (_, channel) =>
        Float32Array.from({ length }, (_sample, i) =>
          read(data, (first + i) * frameBytes + channel * sampleBytes),
        ),
      ),
    };
  }
}
