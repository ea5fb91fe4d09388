import { mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { PatchbayError } from '../core/index.js';
import { Uploads } from './uploads.js';

const MB = 1_048_576;
const good = () => Promise.resolve();
const body = (content: string): Readable => Readable.from([Buffer.from(content)]);

let folder: string;
let uploads: Uploads;
beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'uploads-'));
  uploads = await reopen();
});
afterEach(() => rmSync(folder, { recursive: true }));

const reopen = () => Uploads.open(join(folder, 'media'), { maxBytes: MB, accountBytes: 2 * MB });
const codeOf = async (work: Promise<unknown>): Promise<unknown> =>
  work.then(
    () => 'none',
    (error: unknown) => (error instanceof PatchbayError ? error.code : error),
  );

describe('uploaded files', () => {
  it('are kept for each account over a restart, readable by the gateway’s user alone', async () => {
    await uploads.put('1', 'b.wav', body('b'), good);
    await uploads.put('1', 'a.wav', body('a'), good);
    await uploads.put('2', 'a.wav', body('other'), good);
    const again = await reopen();
    expect(again.list('1').map(({ name, bytes }) => [name, bytes])).toEqual([
      ['a.wav', 1],
      ['b.wav', 1],
    ]);
    expect(await text(again.read('2', 'a.wav'))).toBe('other');
    expect(again.bytes).toBe(7);
    const kept = readdirSync(join(folder, 'media'), { recursive: true, withFileTypes: true });
    for (const entry of kept) {
      const mode = statSync(join(entry.parentPath, entry.name)).mode & 0o777;
      expect(mode, entry.name).toBe(entry.isDirectory() ? 0o700 : 0o600);
    }
  });

  it('replace one another, and go when they are deleted', async () => {
    await uploads.put('1', 'a', body('first'), good);
    const first = uploads.find('1', 'a').version;
    const { replaced } = await uploads.put('1', 'a', body('second'), good);
    expect(replaced).toBe(first);
    expect(await text(uploads.read('1', 'a'))).toBe('second');
    await uploads.delete('1', 'a');
    expect(uploads.list('1')).toEqual([]);
    expect(readdirSync(join(folder, 'media'))).toEqual([]);
    expect(await codeOf(uploads.delete('1', 'a'))).toBe('PATCHBAY_MEDIA_NOT_FOUND');
  });

  it('are refused with odd names, and nothing is written anywhere', async () => {
    const odd = [
      '',
      '.',
      '..',
      '../a',
      'a/b',
      'a\\b',
      '.hidden',
      'ä',
      'a b',
      'a\0',
      'a\n',
      '-a',
      'x'.repeat(65),
      '%2e',
    ];
    for (const name of odd) {
      expect(await codeOf(uploads.put('1', name, body('x'), good)), name).toBe('PATCHBAY_BAD_REQUEST');
      expect(await codeOf(uploads.delete('1', name)), name).toBe('PATCHBAY_BAD_REQUEST');
    }
    expect(readdirSync(folder)).toEqual(['media']);
    expect(readdirSync(join(folder, 'media'))).toEqual([]);
  });

  it('of accounts with odd names stay within the folder, apart from each other', async () => {
    const accounts = ['..', '.', 'a/b', 'a_b', '', 'x'.repeat(300)];
    for (const account of accounts) await uploads.put(account, 'a', body(account), good);
    expect(readdirSync(folder)).toEqual(['media']);
    for (const account of accounts) expect(await text(uploads.read(account, 'a'))).toBe(account);
  });

  it('are no larger than they may be, one by one and together', async () => {
    const endless = Readable.from(
      (function* () {
        for (;;) yield Buffer.alloc(65_536);
      })(),
    );
    expect(await codeOf(uploads.put('1', 'a', endless, good))).toBe('PATCHBAY_PAYLOAD_TOO_LARGE');
    expect(await codeOf(uploads.put('1', 'a', body('x'.repeat(MB + 1)), good))).toBe(
      'PATCHBAY_PAYLOAD_TOO_LARGE',
    );
    const large = 'x'.repeat(MB);
    for (const name of ['a', 'b']) await uploads.put('1', name, body(large), good);
    expect(await codeOf(uploads.put('1', 'c', body('x'), good))).toBe('PATCHBAY_TOO_MANY_REQUESTS');
    // Replacing one takes no more room.
    await uploads.put('1', 'b', body(large), good);
    await uploads.put('2', 'c', body(large), good);
    expect(uploads.list('1').map(({ name }) => name)).toEqual(['a', 'b']);
  });

  it('leave what was there when they cannot be played, or break off', async () => {
    await uploads.put('1', 'a', body('first'), good);
    const bad = () => Promise.reject(new PatchbayError('PATCHBAY_BAD_MEDIA', 'no sound'));
    expect(await codeOf(uploads.put('1', 'a', body('second'), bad))).toBe('PATCHBAY_BAD_MEDIA');
    const broken = new Readable({
      read() {
        this.destroy(new Error('reset'));
      },
    });
    await expect(uploads.put('1', 'a', broken, good)).rejects.toThrow('reset');
    expect(await text(uploads.read('1', 'a'))).toBe('first');
    const full = () => Promise.reject(Object.assign(new Error('no space left'), { code: 'ENOSPC' }));
    expect(await codeOf(uploads.put('1', 'a', body('second'), full))).toBe('PATCHBAY_STORE_UNAVAILABLE');
    const [account = ''] = readdirSync(join(folder, 'media'));
    expect(readdirSync(join(folder, 'media', account))).toEqual(['a']);
  });

  it('that were never finished are removed at the start', async () => {
    await uploads.put('1', 'a', body('a'), good);
    const [account = ''] = readdirSync(join(folder, 'media'));
    writeFileSync(join(folder, 'media', account, '.draft-x'), 'half');
    const again = await reopen();
    expect(again.list('1').map(({ name }) => name)).toEqual(['a']);
    expect(readdirSync(join(folder, 'media', account))).toEqual(['a']);
  });

  it('come a few at a time from one account', async () => {
    const gates: (() => void)[] = [];
    const waits = () => new Promise<void>((resolve) => gates.push(resolve));
    const four = ['a', 'b', 'c', 'd'].map((name) => uploads.put('1', name, body(name), waits));
    expect(await codeOf(uploads.put('1', 'e', body('e'), good))).toBe('PATCHBAY_TOO_MANY_REQUESTS');
    await uploads.put('2', 'e', body('e'), good);
    await expect.poll(() => gates.length).toBe(4);
    for (const open of gates) open();
    await Promise.all(four);
    await uploads.put('1', 'e', body('e'), good);
  });
});
