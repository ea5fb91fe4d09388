import { randomUUID } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { aLawEncode, muLawEncode } from '../../../test/support/tones.js';
import { SoundError } from './chunk.js';
import { decode, type SoundInput } from './decode.js';

const HZ = 440;
const folder = mkdtempSync(join(tmpdir(), 'decode-'));
afterAll(() => rmSync(folder, { recursive: true }));

async function decoded(input: SoundInput, maxSeconds = 60) {
  const target = join(folder, randomUUID());
  const { rate, samples } = await decode({ input, target, maxSeconds });
  const bytes = readFileSync(target);
  expect(bytes.length).toBe(2 * samples);
  return { rate, pcm: new Int16Array(bytes.buffer, bytes.byteOffset, samples) };
}

function fileOf(content: Uint8Array): SoundInput {
  const file = join(folder, randomUUID());
  writeFileSync(file, content);
  return { file };
}

/** Amplitude of a frequency, full scale 1, in the middle of the samples. */
function amplitude(pcm: Int16Array, rate: number, hz: number): number {
  const from = Math.floor(pcm.length / 4);
  // Whole periods of both frequencies that the tests look at.
  const length = Math.floor(pcm.length / 2 / (rate / 40)) * (rate / 40);
  let [re, im] = [0, 0];
  for (let i = 0; i < length; i += 1) {
    const angle = (2 * Math.PI * hz * i) / rate;
    re += pcm[from + i]! * Math.cos(angle);
    im += pcm[from + i]! * Math.sin(angle);
  }
  return (2 * Math.hypot(re, im)) / length / 32_768;
}

/** What is left of the samples when a frequency is taken out, as a share of it. */
function remainder(pcm: Int16Array, rate: number, hz: number): number {
  const from = Math.floor(pcm.length / 4);
  const length = Math.floor(pcm.length / 2 / (rate / 40)) * (rate / 40);
  let power = 0;
  for (let i = 0; i < length; i += 1) power += (pcm[from + i]! / 32_768) ** 2;
  const tone = amplitude(pcm, rate, hz) ** 2 / 2;
  return Math.sqrt(Math.max(0, power / length - tone) / tone);
}

interface Wav {
  readonly code: number;
  readonly bits: number;
  readonly rate: number;
  readonly channels?: number;
  /** The length that the header says, when it is not the true one. */
  readonly said?: number;
  readonly data: Buffer;
}

function wav({ code, bits, rate, channels = 1, said, data }: Wav): Buffer {
  const head = Buffer.alloc(44);
  head.write('RIFF', 0);
  head.writeUInt32LE(said ?? 36 + data.length, 4);
  head.write('WAVEfmt ', 8);
  head.writeUInt32LE(16, 16);
  head.writeUInt16LE(code, 20);
  head.writeUInt16LE(channels, 22);
  head.writeUInt32LE(rate, 24);
  head.writeUInt32LE((rate * channels * bits) / 8, 28);
  head.writeUInt16LE((channels * bits) / 8, 32);
  head.writeUInt16LE(bits, 34);
  head.write('data', 36);
  head.writeUInt32LE(said ?? data.length, 40);
  return Buffer.concat([head, data]);
}

/** A second of the tone at a quarter of full scale, each sample written by `write`. */
function tone(rate: number, bytes: number, write: (into: Buffer, at: number, value: number) => void): Buffer {
  const data = Buffer.alloc(rate * bytes);
  for (let i = 0; i < rate; i += 1) write(data, i * bytes, 0.25 * Math.sin((2 * Math.PI * HZ * i) / rate));
  return data;
}

const FORMATS: readonly [name: string, code: number, bits: number, Parameters<typeof tone>[2]][] = [
  ['PCM of 8 bits', 1, 8, (to, at, value) => to.writeUInt8(Math.round(128 + 127 * value), at)],
  ['PCM of 16 bits', 1, 16, (to, at, value) => to.writeInt16LE(Math.round(32_767 * value), at)],
  ['PCM of 24 bits', 1, 24, (to, at, value) => to.writeIntLE(Math.round(8_388_607 * value), at, 3)],
  ['PCM of 32 bits', 1, 32, (to, at, value) => to.writeInt32LE(Math.round(2_147_483_647 * value), at)],
  ['float of 32 bits', 3, 32, (to, at, value) => to.writeFloatLE(value, at)],
  ['float of 64 bits', 3, 64, (to, at, value) => to.writeDoubleLE(value, at)],
  ['A-law', 6, 8, (to, at, value) => to.writeUInt8(aLawEncode(Math.round(32_767 * value)), at)],
  ['mu-law', 7, 8, (to, at, value) => to.writeUInt8(muLawEncode(Math.round(32_767 * value)), at)],
];

describe('WAV files', () => {
  it.each(FORMATS)('are decoded: %s', async (_name, code, bits, write) => {
    const data = tone(16_000, bits / 8, write);
    const { rate, pcm } = await decoded(fileOf(wav({ code, bits, rate: 16_000, data })));
    expect([rate, pcm.length]).toEqual([16_000, 16_000]);
    expect(amplitude(pcm, rate, HZ)).toBeCloseTo(0.25, 2);
    expect(remainder(pcm, rate, HZ)).toBeLessThan(0.03);
  });

  it.each([
    [8_000, 8_000],
    [11_025, 16_000],
    [22_050, 24_000],
    [32_000, 48_000],
    [44_100, 48_000],
    [96_000, 48_000],
  ])('of %i Hz get a rate at which nothing is lost: %i Hz', async (from, to) => {
    const data = tone(from, 2, (into, at, value) => into.writeInt16LE(Math.round(32_767 * value), at));
    const { rate, pcm } = await decoded(fileOf(wav({ code: 1, bits: 16, rate: from, data })));
    expect(rate).toBe(to);
    expect(Math.abs(pcm.length - to)).toBeLessThan(to / 50);
    expect(amplitude(pcm, rate, HZ)).toBeCloseTo(0.25, 2);
    expect(remainder(pcm, rate, HZ)).toBeLessThan(0.01);
  });

  it('of several channels become one', async () => {
    const mono = tone(8_000, 2, (into, at, value) => into.writeInt16LE(Math.round(32_767 * value), at));
    const data = Buffer.alloc(2 * mono.length);
    // Only the left one has sound.
    for (let i = 0; i < mono.length; i += 2) mono.copy(data, 2 * i, i, i + 2);
    const { rate, pcm } = await decoded(fileOf(wav({ code: 1, bits: 16, rate: 8_000, channels: 2, data })));
    expect(pcm.length).toBe(8_000);
    expect(amplitude(pcm, rate, HZ)).toBeCloseTo(0.125, 2);
  });

  it.each([0, 0xffff_ffff])(
    'that were written to a pipe, and say %i for their length, are read to the end',
    async (said) => {
      const data = tone(8_000, 2, (into, at, value) => into.writeInt16LE(Math.round(32_767 * value), at));
      const { pcm } = await decoded(fileOf(wav({ code: 1, bits: 16, rate: 8_000, said, data })));
      expect(pcm.length).toBe(8_000);
    },
  );

  it('are refused with the reason', async () => {
    const data = Buffer.alloc(1_000);
    const refused = async (file: Buffer): Promise<unknown> =>
      decoded(fileOf(file)).catch((error: unknown) => error);
    for (const [file, why] of [
      [wav({ code: 17, bits: 4, rate: 8_000, data }), /format 17 with 4 bits/],
      [wav({ code: 1, bits: 16, rate: 1, data }), /rate of 1 Hz/],
      [wav({ code: 1, bits: 16, rate: 8_000, channels: 0, data }), /0 channels/],
      [wav({ code: 1, bits: 16, rate: 8_000, data: Buffer.alloc(0) }), /no sound/],
      [wav({ code: 1, bits: 16, rate: 8_000, data }).subarray(0, 30), /damaged|no data/],
    ] as const) {
      const error = await refused(file);
      expect(error).toBeInstanceOf(SoundError);
      expect((error as Error).message).toMatch(why);
    }
  });
});

describe('compressed files', () => {
  it.each([
    ['tone-440.opus', 48_000],
    ['tone-440.mp3', 48_000],
  ])('made by other programs are decoded: %s', async (name, expected) => {
    const { rate, pcm } = await decoded({ file: join('test/fixtures', name) });
    expect(rate).toBe(expected);
    // A second, without what the codec puts before and behind it.
    expect(Math.abs(pcm.length / rate - 1)).toBeLessThan(0.06);
    expect(amplitude(pcm, rate, HZ)).toBeGreaterThan(0.4);
    expect(remainder(pcm, rate, HZ)).toBeLessThan(0.1);
  });

  it('in Ogg are refused when they are damaged, cut short, or not Opus', async () => {
    const good = readFileSync('test/fixtures/tone-440.opus');
    const damaged = Buffer.from(good);
    damaged[good.length - 100]! ^= 1;
    const vorbis = Buffer.from(good);
    for (const file of [damaged, good.subarray(0, good.length - 1)])
      await expect(decoded(fileOf(file))).rejects.toThrow('damaged');
    vorbis.write('vorbis', vorbis.indexOf('OpusHead'));
    await expect(decoded(fileOf(vorbis))).rejects.toThrow(SoundError);
  });
});

describe('a file', () => {
  it('that is longer than it may be is refused', async () => {
    const input = fileOf(wav({ code: 1, bits: 16, rate: 8_000, data: Buffer.alloc(2 * 8_001) }));
    await expect(decoded(input, 1)).rejects.toThrow('longer than 1 s');
  });

  it('of no known format is refused', async () => {
    for (const content of ['', 'x', '<html></html>', 'RIFFxxxxAVI '])
      await expect(decoded(fileOf(Buffer.from(content)))).rejects.toThrow('neither WAV nor Ogg Opus nor MP3');
  });
});

describe('the gateway’s own tones', () => {
  it.each(['join', 'leave', 'ringback', 'music'])('are neither silent nor loud: %s', async (name) => {
    const { rate, pcm } = await decoded({ tone: name });
    expect(rate).toBe(16_000);
    const peak = pcm.reduce((most, sample) => Math.max(most, Math.abs(sample)), 0);
    expect(peak).toBeGreaterThan(2_000);
    expect(peak).toBeLessThan(20_000);
    // They end as they begin, so that they can be repeated.
    expect(Math.abs(pcm[0]!)).toBeLessThan(100);
    expect(Math.abs(pcm.at(-1)!)).toBeLessThan(100);
  });
});
