import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { SoundCache } from './sound-cache.js';

let folder: string;
let cache: SoundCache;
beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'cache-'));
  writeFileSync(join(folder, 'left'), 'of an earlier gateway');
  cache = await SoundCache.open(folder, 100);
});
afterEach(() => rmSync(folder, { recursive: true }));

/** Adds a sound of so many bytes. */
function add(key: string, bytes: number): string {
  const path = cache.draft();
  writeFileSync(path, Buffer.alloc(bytes));
  cache.add(key, { path, rate: 8_000, samples: bytes / 2 });
  return path;
}

it('begins empty, and gives what was added', () => {
  expect(readdirSync(folder)).toEqual([]);
  const path = add('a', 40);
  expect(cache.hold('a')).toMatchObject({ path, rate: 8_000, samples: 20 });
  expect(cache.hold('b')).toBeUndefined();
  expect(cache.bytes).toBe(40);
});

it('drops what was used least recently, but nothing that plays', () => {
  add('a', 40);
  add('b', 40);
  cache.hold('a')!.release();
  add('c', 40);
  expect(['a', 'b', 'c'].map((key) => cache.has(key))).toEqual([true, false, true]);
  const held = cache.hold('a')!;
  const other = held.share();
  add('d', 60);
  expect(['a', 'c', 'd'].map((key) => cache.has(key))).toEqual([true, false, true]);
  // Also when it was used least recently.
  add('f', 40);
  expect(['a', 'd', 'f'].map((key) => cache.has(key))).toEqual([true, false, true]);
  // What plays leaves no room for it.
  expect(() => add('e', 80)).toThrow('no room');
  held.release();
  held.release();
  expect(() => add('e', 80)).toThrow('no room');
  other.release();
  add('e', 80);
  expect(['a', 'e'].map((key) => cache.has(key))).toEqual([false, true]);
  expect(cache.bytes).toBe(80);
  expect(readdirSync(folder)).toHaveLength(1);
});

it('keeps the file of a dropped or replaced sound for those who hear it', () => {
  const first = add('a', 20);
  const held = cache.hold('a')!;
  add('a', 40);
  expect([existsSync(first), cache.bytes]).toEqual([true, 60]);
  held.release();
  expect([existsSync(first), cache.bytes]).toEqual([false, 40]);
  const second = cache.hold('a')!;
  cache.drop('a');
  expect([cache.has('a'), existsSync(second.path)]).toEqual([false, true]);
  second.release();
  expect([existsSync(second.path), cache.bytes]).toEqual([false, 0]);
});
