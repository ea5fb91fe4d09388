import { type FileHandle, open } from 'node:fs/promises';
import { type AudioEncoder, createOpusEncoder } from '../codecs/index.js';
import { MediaError, type ProgramRate } from '../types.js';

/** Samples are read in pieces of this many bytes: one second at 48 kHz. */
const PIECE_BYTES = 96_000;
const PIECE_SAMPLES = PIECE_BYTES / 2;
/** Pieces of one file that are kept in memory, for all who hear it at about the same time. */
const MAX_PIECES = 16;

/** A file of samples (signed, 16 bits, little-endian) that is read a piece ahead of whoever plays it. */
class SampleFile {
  users = 0;
  readonly path: string;
  #file: FileHandle | undefined;
  #samples = 0;
  /** In the order of their last use. */
  readonly #pieces = new Map<number, Int16Array | 'loading'>();
  /** By rate and volume. */
  readonly #encoded = new Map<string, EncodedFile>();

  constructor(path: string) {
    this.path = path;
  }

  /** Number of samples; 0 before it is open. */
  get samples(): number {
    return this.#samples;
  }

  /** @throws MediaError BAD_FILE by rejection */
  async open(): Promise<void> {
    try {
      this.#file = await open(this.path);
      this.#samples = (await this.#file.stat()).size >> 1;
      await this.#load(0);
    } catch (error) {
      throw new MediaError('BAD_FILE', `The file cannot be read: ${describe(error)}`, { cause: error });
    }
    if (this.#samples === 0) throw new MediaError('BAD_FILE', 'The file is empty.');
  }

  async close(): Promise<void> {
    const file = this.#file;
    this.#file = undefined;
    this.#pieces.clear();
    await file?.close();
  }

  encoded(rate: ProgramRate, volume: number): EncodedFile {
    const key = `${rate} ${volume}`;
    const encoded = this.#encoded.get(key) ?? new EncodedFile(rate);
    this.#encoded.set(key, encoded);
    return encoded;
  }

  /** A piece of its samples; undefined while it is still being read. */
  piece(index: number): Int16Array | undefined {
    const piece = this.#pieces.get(index);
    if (piece === undefined) void this.#load(index).catch(() => this.#pieces.delete(index));
    return piece === 'loading' ? undefined : piece;
  }

  async #load(index: number): Promise<void> {
    if (!this.#file || this.#pieces.has(index) || index * PIECE_SAMPLES >= this.#samples) return;
    this.#pieces.set(index, 'loading');
    const buffer = Buffer.alloc(PIECE_BYTES);
    const { bytesRead } = await this.#file.read(buffer, 0, PIECE_BYTES, index * PIECE_BYTES);
    const piece = new Int16Array(bytesRead >> 1);
    for (let i = 0; i < piece.length; i += 1) piece[i] = buffer.readInt16LE(2 * i);
    this.#pieces.delete(index);
    this.#pieces.set(index, piece);
    for (const [oldest] of this.#pieces) {
      if (this.#pieces.size <= MAX_PIECES) break;
      this.#pieces.delete(oldest);
    }
  }
}

/** The file at one volume as Opus, encoded once, frame by frame, by whichever listener comes first to it. */
export class EncodedFile {
  readonly #encoder: AudioEncoder;
  readonly #payloads: Buffer[] = [];

  constructor(rate: ProgramRate) {
    this.#encoder = createOpusEncoder(rate);
  }

  /**
   * Writes the payload of a frame to `out` from `offset`. @param index counts the frames since the file's beginning
   * @returns the number of bytes; undefined if frames before it have not been encoded
   */
  encode(index: number, pcm: Int16Array, out: Buffer, offset: number): number | undefined {
    const known = this.#payloads[index];
    if (known) {
      out.set(known, offset);
      return known.length;
    }
    if (index !== this.#payloads.length) return undefined;
    const length = this.#encoder.encode(pcm, pcm.length, out, offset);
    this.#payloads.push(Buffer.from(out.subarray(offset, offset + length)));
    return length;
  }
}

/** Where somebody is in a file. */
export class FilePosition {
  readonly #file: SampleFile;
  #at = 0;

  constructor(file: SampleFile) {
    this.#file = file;
  }

  get isAtEnd(): boolean {
    return this.#at >= this.#file.samples;
  }

  rewind(): void {
    this.#at = 0;
  }

  /** Writes the next samples to `out` from `from`. @returns how many there were; fewer at the end, or while it is read */
  read(out: Int16Array, from: number, volume: number): number {
    let written = 0;
    while (from + written < out.length && !this.isAtEnd) {
      const index = Math.floor(this.#at / PIECE_SAMPLES);
      const piece = this.#file.piece(index);
      if (!piece) break;
      const offset = this.#at - index * PIECE_SAMPLES;
      // The next piece is there when it is needed; of a loop, the first one.
      if (offset === 0) this.#file.piece((index + 1) * PIECE_SAMPLES < this.#file.samples ? index + 1 : 0);
      const count = Math.min(piece.length - offset, out.length - from - written);
      if (count <= 0) break;
      for (let i = 0; i < count; i += 1) out[from + written + i] = scaled(piece[offset + i]!, volume);
      written += count;
      this.#at += count;
    }
    return written;
  }
}

/** A file as one listener has it. */
export interface OpenedFile {
  readonly position: FilePosition;
  /** The whole of it as Opus, shared with others. */
  encoded(rate: ProgramRate, volume: number): EncodedFile;
  release(): Promise<void>;
}

/** The files that are being played, each once. */
export class SampleFiles {
  readonly #files = new Map<string, { readonly file: SampleFile; readonly opened: Promise<void> }>();

  /** @throws MediaError BAD_FILE by rejection */
  async acquire(path: string): Promise<OpenedFile> {
    const known = this.#files.get(path);
    const file = known?.file ?? new SampleFile(path);
    const opened = known?.opened ?? file.open();
    if (!known) this.#files.set(path, { file, opened });
    file.users += 1;
    let isReleased = false;
    const release = async (): Promise<void> => {
      if (isReleased) return;
      isReleased = true;
      file.users -= 1;
      if (file.users > 0) return;
      this.#files.delete(path);
      await file.close();
    };
    try {
      await opened;
    } catch (error) {
      await release();
      throw error;
    }
    return {
      position: new FilePosition(file),
      encoded: (rate, volume) => file.encoded(rate, volume),
      release,
    };
  }
}

function scaled(sample: number, volume: number): number {
  if (volume === 1) return sample;
  const value = Math.round(sample * volume);
  return value > 32_767 ? 32_767 : value < -32_768 ? -32_768 : value;
}

function describe(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : String(error);
}
