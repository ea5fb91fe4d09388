import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { createCore } from '../../core/index.js';
import { ACCOUNT } from '../../core/testing/index.js';
import { silentLog } from '../../shared/testing/index.js';
import { backup, backups, prune, restore } from './backups.js';
import { connect, rows } from './database.js';
import { openStore, type Store } from '../index.js';

let dataDir: string;
let logged: { fields: Record<string, unknown>; message: string }[];
const opened: Store[] = [];

beforeEach(() => {
  dataDir = mkdtempSync(join(tmpdir(), 'patchbay-folder-'));
  logged = [];
});

afterEach(async () => {
  vi.useRealTimers();
  await close();
  rmSync(dataDir, { recursive: true, force: true });
});

const file = (name: string): string => join(dataDir, name);

async function open(options: { backups?: number; tokenSecret?: string } = {}): Promise<Store> {
  const note = (fields: object, message: string): void => {
    logged.push({ fields: fields as Record<string, unknown>, message });
  };
  const store = await openStore({
    dataDir,
    log: { debug: note, info: note, warn: note, error: note },
    ...options,
  });
  opened.push(store);
  return store;
}

async function close(): Promise<void> {
  await Promise.all(opened.splice(0).map((store) => store.close()));
}

const coreOn = (store: Store) =>
  createCore({ tokenSecret: store.tokenSecret, store: store.core, log: silentLog });

/** A folder with so many sessions, closed. @returns the sessions' ids */
async function folderWith(count: number): Promise<string[]> {
  const core = coreOn(await open());
  const ids = Array.from({ length: count }, (_, i) => core.createSession(ACCOUNT, { tag: `tag ${i}` }).id);
  await core.flush();
  await close();
  return ids;
}

/** Writes over the middle of a file. */
function damage(name: string, at = 0): void {
  const bytes = readFileSync(file(name));
  bytes.fill('no database', at, Math.min(bytes.length, at + 4_096));
  writeFileSync(file(name), bytes);
}

const sessionsIn = (store: Store): number => coreOn(store).counts().sessions;
const inFolder = (start: string): string[] => readdirSync(dataDir).filter((name) => name.startsWith(start));

describe('a data folder that cannot be used', () => {
  it('names the file, what is wrong and what to do', async () => {
    rmSync(dataDir, { recursive: true });
    writeFileSync(dataDir, 'a file');
    await expect(open()).rejects.toThrow(`${dataDir} is not a folder`);
    rmSync(dataDir);
    mkdirSync(dataDir);
    mkdirSync(file('patchbay.db'));
    await expect(open()).rejects.toThrow(`${file('patchbay.db')} cannot be opened`);
  });

  it.skipIf(process.getuid?.() === 0)('names who may not use it', async () => {
    chmodSync(dataDir, 0o500);
    await expect(open()).rejects.toThrow(`${dataDir} cannot be used by the gateway's user`);
  });
});

describe('lock.db', () => {
  it('is made again when it is damaged', async () => {
    await folderWith(1);
    writeFileSync(
      file('lock.db'),
      'this is no database at all, but longer than a header of one would be '.repeat(9),
    );
    expect(sessionsIn(await open())).toBe(1);
    await expect(open()).rejects.toThrow('Another gateway uses the data folder');
  });

  it('still locks the folder when it is damaged while a gateway holds it', async () => {
    await open();
    writeFileSync(
      file('lock.db'),
      'this is no database at all, but longer than a header of one would be '.repeat(9),
    );
    await expect(open()).rejects.toThrow('Another gateway uses the data folder');
  });
});

describe('the token secret', () => {
  const secretFile = (): string => file('token-secret');

  it('that is empty, not text or not a file is reported, with what to do', async () => {
    writeFileSync(secretFile(), '\n', { mode: 0o600 });
    await expect(open()).rejects.toThrow(`${secretFile()} is empty: restore the right one`);
    writeFileSync(secretFile(), Buffer.from([0xff, 0xfe, 0x00, 0x41]));
    await expect(open()).rejects.toThrow(`${secretFile()} is damaged`);
    rmSync(secretFile());
    mkdirSync(secretFile());
    await expect(open()).rejects.toThrow(`${secretFile()} is a folder`);
    expect((await open({ tokenSecret: 'given by the environment, long enough' })).tokenSecret).toContain(
      'given',
    );
  });

  it('that others can read is made private, with a warning', async () => {
    await folderWith(1);
    chmodSync(secretFile(), 0o644);
    await open();
    expect(statSync(secretFile()).mode & 0o777).toBe(0o600);
    expect(logged).toMatchObject([{ fields: { file: secretFile(), mode: '644' } }]);
  });
});

describe('a damaged database', () => {
  it.each([
    ['at its start', 0],
    ['in its midst', 8_192],
  ])('%s is kept aside, and no empty one begun in its place', async (_where, at) => {
    await folderWith(500);
    damage('patchbay.db', at);
    const before = readFileSync(file('patchbay.db'));
    const refused =
      /patchbay\.db is damaged .* kept as .*patchbay\.db\.damaged-\d+T\d+Z\. There is no usable copy/;
    await expect(open()).rejects.toThrow(refused);
    const [aside] = inFolder('patchbay.db.damaged-').filter((name) => name.endsWith('Z'));
    expect(readFileSync(file(aside!)).equals(before)).toBe(true);
    await expect(open()).rejects.toThrow(/patchbay\.db was damaged\. It is kept as .* restore -- empty/);
    await restore(dataDir, 'empty');
    expect(sessionsIn(await open())).toBe(0);
  });

  it('is replaced by the newest usable copy when the operator says so', async () => {
    await folderWith(100);
    const copy = await backup(dataDir);
    renameSync(copy, join(dataDir, 'backups', 'patchbay-20200101T000000Z.db'));
    await folderWith(1);
    const newest = await backup(dataDir);
    writeFileSync(newest, 'not whole');
    damage('patchbay.db');
    await expect(open()).rejects.toThrow(/patchbay-20200101T000000Z\.db\. To use it: npm run restore/);
    expect(await restore(dataDir)).toMatchObject({ from: expect.stringContaining('20200101') as string });
    expect(sessionsIn(await open())).toBe(100);
  });
});

describe('copies', () => {
  it('are made while a gateway writes, and hold all that it has answered', async () => {
    const core = coreOn(await open());
    for (let i = 0; i < 50; i += 1) core.createSession(ACCOUNT, {});
    await core.flush();
    const copy = await backup(dataDir);
    core.createSession(ACCOUNT, {});
    await core.flush();
    await close();
    const { aside } = await restore(dataDir, copy);
    expect(statSync(copy).mode & 0o777).toBe(0o600);
    expect(inFolder('.draft')).toEqual([]);
    expect(sessionsIn(await open())).toBe(50);
    await close();
    renameSync(aside!, file('patchbay.db'));
    expect(sessionsIn(await open())).toBe(51);
  });

  it('are not restored while a gateway uses the folder, nor when they are damaged', async () => {
    await folderWith(1);
    const copy = await backup(dataDir);
    await open();
    await expect(restore(dataDir, copy)).rejects.toThrow('Another gateway uses the data folder');
    await close();
    truncateSync(copy, 5_000);
    await expect(restore(dataDir, copy)).rejects.toThrow(`${copy} is not a usable copy`);
    await expect(restore(dataDir)).rejects.toThrow('holds no usable copy');
    await expect(restore(dataDir, file('nowhere'))).rejects.toThrow(/nowhere is not a usable copy/);
    expect(sessionsIn(await open())).toBe(1);
  });

  it('are made every hour, and the configured number is kept', async () => {
    await folderWith(1);
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'Date'] });
    const store = await open({ backups: 2 });
    const made = async (): Promise<readonly string[]> => backups(join(dataDir, 'backups'));
    const seen = new Set<string>();
    await vi.waitFor(async () => {
      await vi.advanceTimersByTimeAsync(600_000);
      for (const name of await made()) seen.add(name);
      expect(seen.size).toBeGreaterThanOrEqual(4);
    }, 10_000);
    await vi.waitFor(async () => expect(await made()).toEqual([...seen].sort().reverse().slice(0, 2)));
    expect(store.health().backedUpAt).toBeDefined();
    vi.useRealTimers();
    await prune(dataDir, 0);
    expect(await made()).toEqual([]);
  });
});

describe('a clean stop', () => {
  it('leaves everything in the one file', async () => {
    const ids = await folderWith(20);
    expect(inFolder('patchbay.db-wal').filter((name) => statSync(file(name)).size > 0)).toEqual([]);
    const alone = connect(file('patchbay.db'));
    expect(await rows(alone, 'SELECT count(*) AS count FROM sessions')).toEqual([{ count: ids.length }]);
    alone.close();
  });
});

describe('an empty database', () => {
  it('causes a warning if there is a token secret', async () => {
    await folderWith(1);
    expect(logged).toEqual([]);
    for (const name of inFolder('patchbay.db')) rmSync(file(name));
    await open();
    expect(logged).toMatchObject([{ fields: { file: file('patchbay.db') }, message: /token secret is not/ }]);
  });
});

describe('a folder that is gone', () => {
  it('takes no changes until it is back', async () => {
    const core = coreOn(await open());
    core.createSession(ACCOUNT, {});
    await core.flush();
    renameSync(dataDir, `${dataDir}-moved`);
    core.createSession(ACCOUNT, {});
    await expect(core.flush()).rejects.toMatchObject({ code: 'PATCHBAY_STORE_FAILED' });
    expect(() => core.createSession(ACCOUNT, {})).toThrow('cannot write to its database');
    renameSync(`${dataDir}-moved`, dataDir);
    await vi.waitFor(() => core.createSession(ACCOUNT, {}), { timeout: 10_000 });
    await core.flush();
    await close();
    expect(sessionsIn(await open())).toBe(3);
  });
});

describe('bytes that are no UTF-8', () => {
  /** As another program may have written it: SQLite accepts any bytes as text. */
  const sql = (statements: string): void => {
    const script =
      'import sqlite3,sys; c=sqlite3.connect(sys.argv[1]); c.executescript(sys.argv[2]); c.commit()';
    execFileSync('python3', ['-c', script, file('patchbay.db'), statements]);
  };
  const bad = "CAST(x'fffe41' AS TEXT)";

  it('in any column of text do not end the process, at the start and in reports', async () => {
    const ids = await folderWith(600);
    sql(`
      UPDATE sessions SET document = replace(document, 'tag 1', ${bad}) WHERE id = '${ids[1]!}';
      UPDATE sessions SET document = ${bad} WHERE id = '${ids[2]!}';
      UPDATE sessions SET id = ${bad} || id WHERE id = '${ids[249]!}';
      INSERT INTO participants VALUES (${bad}, ${bad}), ('b', 'null');
      INSERT INTO resume_points VALUES (${bad}, ${bad}, 1, ${bad}), ('p', ${bad}, 2, '{"layout":[],"revision":1}');
      INSERT INTO webhooks VALUES (${bad}, ${bad});
      INSERT INTO usage_records VALUES (${Array(13).fill(bad).join(', ')}, 1, 2, NULL, ${Array(7).fill(bad).join(', ')}, NULL);
      INSERT INTO usage_records VALUES ('r', ${bad}, '${ACCOUNT}', ${Array(10).fill(bad).join(', ')}, 1, 2, 3, ${Array(7).fill(bad).join(', ')}, NULL);
      INSERT INTO calls VALUES (${bad}, ${bad}, ${bad});
    `);
    const store = await open();
    // All but the one whose document is no JSON. One has another id in its document than in its column.
    expect(sessionsIn(store)).toBe(599);
    expect(store.usage.openRecords()).toMatchObject([{ caller: '\ufffd\ufffdA' }]);
    expect(store.usage.webhooks()).toEqual([]);
    const { records, totals } = await store.usage.find(ACCOUNT, { limit: 10 }, 5);
    expect(records).toMatchObject([{ id: 'r', caller: '\ufffd\ufffdA' }]);
    expect(totals).toMatchObject([{ tag: '\ufffd\ufffdA', connections: 1 }]);
    expect(logged.map(({ fields }) => fields['table']).sort()).toEqual([
      'calls',
      'participants',
      'participants',
      'resume_points',
      'sessions',
      'webhooks',
    ]);
  });
});
