import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { Decoder, SoundError } from './index.js';

const folder = mkdtempSync(join(tmpdir(), 'decoder-'));
const decoder = new Decoder();
afterAll(() => {
  decoder.close();
  rmSync(folder, { recursive: true });
});

it('decodes in processes of their own, however many files wait', async () => {
  const names = ['a', 'b', 'c', 'd'];
  const sounds = await Promise.all(
    names.map((name) =>
      decoder.decode({
        input: { file: 'test/fixtures/tone-440.mp3' },
        target: join(folder, name),
        maxSeconds: 10,
      }),
    ),
  );
  for (const [i, { rate, samples }] of sounds.entries()) {
    expect(rate).toBe(48_000);
    const { size, mode } = statSync(join(folder, names[i]!));
    expect(size).toBe(2 * samples);
    expect(mode & 0o777).toBe(0o600);
  }
  expect(decoder.decodings).toBe(4);
});

it('says why a file cannot be played', async () => {
  const file = join(folder, 'bad');
  writeFileSync(file, 'no sound at all');
  const bad = decoder.decode({ input: { file }, target: join(folder, 'target'), maxSeconds: 10 });
  await expect(bad).rejects.toThrow(SoundError);
  await expect(bad).rejects.toThrow('neither WAV');
  const missing = { input: { file: join(folder, 'missing') }, target: join(folder, 'other'), maxSeconds: 10 };
  await expect(decoder.decode(missing)).rejects.toThrow('ENOENT');
});

it('ends the processes when it is closed', async () => {
  const other = new Decoder();
  const job = { input: { tone: 'music' }, target: join(folder, 'music'), maxSeconds: 60 };
  const ended = expect(other.decode(job)).rejects.toThrow();
  other.close();
  await ended;
  await expect(other.decode(job)).rejects.toThrow('shutting down');
});
