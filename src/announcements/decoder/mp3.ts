import { MPEGDecoder } from 'mpg123-decoder';
import { type Chunk } from './chunk.js';

/** Bytes that are decoded at a time: of the lowest bit rate some seconds come of them. */
const SLICE_BYTES = 4_096;

/** Whether a file begins with an ID3 tag, or with the frame header of MPEG audio, layer III. */
export function isMp3(file: Buffer): boolean {
  if (file.toString('latin1', 0, 3) === 'ID3') return true;
  const [sync = 0, version = 0] = file;
  return sync === 0xff && (version & 0xe6) === 0xe2;
}

/** Decodes an MP3 file. The library goes on behind what is damaged. */
export async function* mp3Chunks(file: Buffer): AsyncGenerator<Chunk> {
  const decoder = new MPEGDecoder();
  await decoder.ready;
  for (let at = 0; at < file.length; at += SLICE_BYTES) {
    const { channelData, samplesDecoded, sampleRate } = decoder.decode(file.subarray(at, at + SLICE_BYTES));
    if (samplesDecoded > 0) yield { rate: sampleRate, channels: channelData };
  }
  decoder.free();
}
