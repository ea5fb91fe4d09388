import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Log } from '../shared/index.js';
import { openDatabase, rows } from './libsql/database.js';
import { openStore, type Store } from './index.js';

let dataDir: string;
let store: Store;
let warnings: string[];

const log: Log = {
  debug: () => undefined,
  info: () => undefined,
  warn: (_fields: object, message: string) => void warnings.push(message),
  error: (_fields: object, message: string) => void warnings.push(message),
};

beforeEach(async () => {
  warnings = [];
  dataDir = await mkdtemp(join(tmpdir(), 'patchbay-calls-'));
  store = await openStore({ dataDir, log });
});

afterEach(async () => {
  await store.close();
  await rm(dataDir, { recursive: true });
});

async function reopen(tokenSecret?: string, change = ''): Promise<void> {
  await store.close();
  const database = await openDatabase(join(dataDir, 'patchbay.db'));
  if (change !== '') await database.exec(change);
  database.close();
  store = await openStore({ dataDir, log, tokenSecret });
}

async function sealed(): Promise<string[]> {
  const database = await openDatabase(join(dataDir, 'patchbay.db'));
  const found = await rows(database, 'SELECT CAST(sealed AS BLOB) AS sealed FROM calls ORDER BY id');
  database.close();
  return found.map((row) => String(row['sealed']));
}

describe('the calls in the store', () => {
  it('are those that were left, as they were saved last', async () => {
    store.calls.saveCall('one', 'first');
    store.calls.saveCall('two', '"quotes", \'quotes\' and é');
    store.calls.saveCall('gone', 'x');
    await store.flush();
    store.calls.saveCall('one', 'second');
    store.calls.deleteCall('gone');
    await reopen();
    expect(store.calls.calls()).toEqual([
      { id: 'one', document: 'second' },
      { id: 'two', document: '"quotes", \'quotes\' and é' },
    ]);
    // They are told once.
    expect(store.calls.calls()).toEqual([]);
    expect(warnings).toEqual([]);
  });

  it('lie there encrypted, each time anew', async () => {
    store.calls.saveCall('one', 'inline:key of SRTP');
    await store.flush();
    const [first] = await sealed();
    expect(Buffer.from(first!, 'base64').toString('latin1')).not.toContain('key of SRTP');
    store.calls.saveCall('one', 'inline:key of SRTP');
    await store.flush();
    expect(await sealed()).not.toEqual([first]);
  });

  it('are lost with another token secret, and their rows are removed', async () => {
    store.calls.saveCall('one', 'document');
    await reopen('another secret, long enough for tokens');
    expect(store.calls.calls()).toEqual([]);
    expect(warnings.join()).toContain('cannot be read');
    await store.flush();
    expect(await sealed()).toEqual([]);
  });

  it('are not sealed as programs are', async () => {
    store.calls.saveCall('one', 'of one');
    store.programs.saveProgram('two', 'wss://secret');
    await reopen(undefined, 'INSERT INTO programs SELECT id, sealed FROM calls');
    expect(store.programs.programs()).toEqual([{ id: 'two', document: 'wss://secret' }]);
    expect(warnings.join()).toContain('Programs to connect to cannot be read');
  });

  it('cannot be exchanged for one another or changed', async () => {
    store.calls.saveCall('one', 'of one');
    store.calls.saveCall('two', 'of two');
    await reopen(undefined, "UPDATE calls SET sealed = (SELECT sealed FROM calls WHERE id = 'two')");
    expect(store.calls.calls()).toEqual([{ id: 'two', document: 'of two' }]);
    store.calls.saveCall('two', 'of two');
    await reopen(undefined, "UPDATE calls SET sealed = 'damaged'");
    expect(store.calls.calls()).toEqual([]);
  });
});
