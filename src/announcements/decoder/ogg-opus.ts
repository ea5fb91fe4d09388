import { Decoder } from '@evan/opus';
import { type Chunk, SoundError } from './chunk.js';

const RATE = 48_000;
/** Two channels of 120 ms at 48 kHz, each frame as long as Opus allows (RFC 6716 section 3.2), and more than enough. */
const MAX_PACKET_BYTES = 65_536;
const PAGE_HEADER_BYTES = 27;
const [CONTINUED, FIRST, LAST] = [1, 2, 4];
const damaged = (cause?: unknown): SoundError => new SoundError('The Ogg file is damaged.', { cause });

export const isOgg = (file: Buffer): boolean => file.toString('latin1', 0, 4) === 'OggS';

interface Page {
  readonly flags: number;
  /** Samples up to the end of the last packet that ends in the page; undefined: none ends in it. */
  readonly granule: number | undefined;
  readonly serial: number;
  /** Pieces of packets, and whether each ends its packet. */
  readonly pieces: readonly { readonly bytes: Buffer; readonly ends: boolean }[];
}

/**
 * Decodes an Ogg file (RFC 3533) with Opus in it (RFC 7845): the first such stream, and those chained to it. Streams of
 * other kinds are passed over.
 * @throws SoundError
 */
export function* oggOpusChunks(file: Buffer): Generator<Chunk> {
  let stream: OpusStream | undefined;
  let found = false;
  for (const page of pages(file)) {
    if (!stream && page.flags & FIRST && page.pieces[0]?.bytes.toString('latin1', 0, 8) === 'OpusHead') {
      stream = new OpusStream(page);
      found = true;
      continue;
    }
    if (stream?.serial !== page.serial) continue;
    const chunk = stream.take(page);
    if (chunk) yield chunk;
    if (page.flags & LAST) stream = undefined;
  }
  if (!found) throw new SoundError('The Ogg file has no Opus in it; other codecs cannot be played.');
}

function* pages(file: Buffer): Generator<Page> {
  for (let at = 0; at < file.length;) {
    const segments = file[at + PAGE_HEADER_BYTES - 1];
    if (file.toString('latin1', at, at + 4) !== 'OggS' || segments === undefined || file[at + 4] !== 0)
      throw damaged();
    const table = file.subarray(at + PAGE_HEADER_BYTES, at + PAGE_HEADER_BYTES + segments);
    const body = at + PAGE_HEADER_BYTES + segments;
    const end = body + table.reduce((sum, length) => sum + length, 0);
    if (end > file.length || checksum(file.subarray(at, end)) !== file.readUInt32LE(at + 22)) throw damaged();
    const granule = file.readBigInt64LE(at + 6);
    yield {
      flags: file[at + 5]!,
      granule: granule < 0n ? undefined : Number(granule),
      serial: file.readUInt32LE(at + 14),
      pieces: piecesOf(table, file.subarray(body, end)),
    };
    at = end;
  }
}

/** A length of 255 says that the packet goes on. */
function piecesOf(table: Buffer, body: Buffer): Page['pieces'] {
  const pieces: { bytes: Buffer; ends: boolean }[] = [];
  let [from, to] = [0, 0];
  table.forEach((length, i) => {
    to += length;
    if (length === 255 && i < table.length - 1) return;
    pieces.push({ bytes: body.subarray(from, to), ends: length < 255 });
    from = to;
  });
  return pieces;
}

const CRC = Uint32Array.from({ length: 256 }, (_, byte) => {
  let remainder = byte << 24;
  for (let bit = 0; bit < 8; bit += 1) remainder = (remainder << 1) ^ (remainder < 0 ? 0x04c11db7 : 0);
  return remainder >>> 0;
});

/** Over the page with zeros in place of the checksum. */
function checksum(page: Buffer): number {
  let crc = 0;
  page.forEach((byte, i) => {
    const read = i >= 22 && i < 26 ? 0 : byte;
    crc = (crc << 8) ^ CRC[(crc >>> 24) ^ read]!;
  });
  return crc >>> 0;
}

/** One Opus stream of a file, from its header to its last page. */
class OpusStream {
  readonly serial: number;
  readonly #channels: 1 | 2;
  readonly #decoder: Decoder;
  /** Samples to drop at the beginning, while the decoder settles. */
  readonly #skip: number;
  #packets = 0;
  #decoded = 0;
  /** The granule position before the first sample; files that were cut from a live stream do not begin at 0. */
  #origin: number | undefined;
  #pending: Buffer = Buffer.alloc(0);

  constructor({ serial, pieces: [head] }: Page) {
    const header = head!.bytes;
    this.serial = serial;
    const channels = header[9];
    if (header.length < 19 || header[8]! > 15) throw damaged();
    if (header[18] !== 0 || (channels !== 1 && channels !== 2)) {
      throw new SoundError('The Ogg file has more than two channels.');
    }
    this.#channels = channels;
    this.#skip = header.readUInt16LE(10);
    this.#decoder = new Decoder({ channels, sample_rate: RATE });
    this.#decoder.gain = header.readInt16LE(16);
  }

  /** Decodes the packets that end in a page. */
  take({ flags, granule, pieces }: Page): Chunk | undefined {
    if (!(flags & CONTINUED)) this.#pending = Buffer.alloc(0);
    const decoded: Int16Array[] = [];
    for (const { bytes, ends } of pieces) {
      const packet = this.#pending.length > 0 ? Buffer.concat([this.#pending, bytes]) : bytes;
      if (packet.length > MAX_PACKET_BYTES && this.#packets > 0) throw damaged();
      this.#pending = ends ? Buffer.alloc(0) : packet;
      if (!ends) continue;
      this.#packets += 1;
      // The first one has the tags.
      if (this.#packets > 1 && packet.length > 0) decoded.push(this.#decode(packet));
    }
    return this.#chunk(decoded, granule, (flags & LAST) !== 0);
  }

  #decode(packet: Buffer): Int16Array {
    try {
      const pcm = this.#decoder.decode(packet);
      return new Int16Array(pcm.buffer.slice(pcm.byteOffset, pcm.byteOffset + pcm.byteLength));
    } catch (error) {
      throw damaged(error);
    }
  }

  /** Leaves out what the header and the last page say that is not to be heard (RFC 7845 sections 4.2 and 4.4). */
  #chunk(decoded: readonly Int16Array[], granule: number | undefined, isLast: boolean): Chunk | undefined {
    const before = this.#decoded;
    const frames = decoded.reduce((sum, pcm) => sum + pcm.length, 0) / this.#channels;
    if (frames > 0 && granule !== undefined) this.#origin ??= Math.max(0, granule - frames);
    const last = isLast && granule !== undefined ? granule - (this.#origin ?? 0) : Infinity;
    this.#decoded += frames;
    const from = Math.min(frames, Math.max(0, this.#skip - before));
    const to = Math.min(frames, Math.max(from, last - before));
    if (to <= from) return undefined;
    const channels = Array.from({ length: this.#channels }, (_, channel) => {
      const all = new Float32Array(frames);
      let at = 0;
      for (const pcm of decoded)
        for (let i = channel; i < pcm.length; i += this.#channels) all[at++] = pcm[i]! / 32_768;
      return all.subarray(from, to);
    });
    return { rate: RATE, channels };
  }
}
