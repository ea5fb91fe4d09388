import { existsSync, readFileSync, writeFileSync } from 'node:fs';

/** Mono audio of 16 bits. */
interface Audio {
  readonly rate: number;
  readonly samples: Int16Array;
}

/** Writes a WAV file. */
export function writeWav(file: string, { rate, samples }: Audio): void {
  const header = Buffer.alloc(44);
  const bytes = samples.length * 2;
  header.write('RIFF', 0);
  header.writeUInt32LE(36 + bytes, 4);
  header.write('WAVEfmt ', 8);
  header.writeUInt32LE(16, 16);
  header.writeUInt16LE(1, 20);
  header.writeUInt16LE(1, 22);
  header.writeUInt32LE(rate, 24);
  header.writeUInt32LE(rate * 2, 28);
  header.writeUInt16LE(2, 32);
  header.writeUInt16LE(16, 34);
  header.write('data', 36);
  header.writeUInt32LE(bytes, 40);
  writeFileSync(file, Buffer.concat([header, Buffer.from(samples.buffer, 0, bytes)]));
}

/** What a WAV file holds; undefined when there is none, or no header in it yet. */
export function readWav(file: string): Audio | undefined {
  if (!existsSync(file)) return undefined;
  const bytes = readFileSync(file);
  const data = bytes.indexOf('data');
  if (data < 0 || bytes.length < data + 8) return undefined;
  const count = Math.floor((bytes.length - data - 8) / 2);
  const samples = Int16Array.from({ length: count }, (_, i) => bytes.readInt16LE(data + 8 + 2 * i));
  return { rate: bytes.readUInt32LE(24), samples };
}
