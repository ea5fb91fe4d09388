import { spawnSync } from 'node:child_process';
import {
  copyFileSync,
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import Libsql from 'libsql/promise';
import { Bystander, TWO_ACCOUNTS } from '../support/bystander.js';
import { failedStart, startGateway, type TestGateway } from '../support/gateway.js';
import { Rest } from '../support/rest.js';
import { onDisk, withoutSmallDisk } from '../support/small-disk.js';

const noMounts = withoutSmallDisk();
const folder = mkdtempSync(join(tmpdir(), 'patchbay-start-failures-'));
afterAll(() => rmSync(folder, { recursive: true }));

/** `npm run backup` and `npm run restore`. */
function npmRun(dataDir: string, ...command: readonly string[]) {
  const { status, stdout, stderr } = spawnSync('npm', ['run', '--silent', ...command], {
    env: { ...process.env, PATCHBAY_DATA_DIR: dataDir },
    encoding: 'utf8',
  });
  return { status, said: stdout + stderr };
}

describe('a folder, disk or limit that no gateway can start with', () => {
  const disks = describe.skipIf(noMounts !== undefined);

  disks(`of a disk${noMounts === undefined ? '' : ` (skipped: ${noMounts})`}`, () => {
    it.each([
      ['read-only', 'ro', /is on a disk that is mounted read-only: mount it writable/],
      [
        'full before anything',
        'size=4k',
        /token-secret cannot be written, the disk is full .*free some space/,
      ],
      ['full soon after', 'size=16k', /patchbay\.db cannot be .*the disk is full.* [fF]ree some space/],
      ['without inodes', 'nr_inodes=1', /the disk is full or out of inodes: free some space/],
    ])('that is %s is named, and what to do', { concurrent: true }, async (_what, options, words) => {
      const failed = await failedStart({ dataDir: folder, runBy: onDisk(folder, options) });
      expect(failed.code).toBe(1);
      expect(failed.words).toMatch(words);
      expect(failed.words).toContain(folder);
    });
  });

  it('names the limit of open files when that is too low', async () => {
    const failed = await failedStart({ dataDir: join(folder, 'few'), runBy: ['prlimit', '--nofile=128'] });
    expect(failed).toMatchObject({ code: 1 });
    expect(failed.words).toContain('it may have only 128 files open, and needs at least 256');
    expect(failed.words).toContain('ulimit -n');
  });
});

describe('a data folder with damaged files', () => {
  const whole = join(folder, 'whole');
  let bystander: Bystander;
  let running: TestGateway;
  let kept: string[];
  let copy: string;

  const participantsAt = async (gateway: TestGateway): Promise<string[]> => {
    const listed = (await new Rest(gateway).request('GET', '/participants')) as { items: { id: string }[] };
    return listed.items.map(({ id }) => id);
  };

  beforeAll(async () => {
    running = await startGateway({ dataDir: whole, env: TWO_ACCOUNTS });
    bystander = await Bystander.start(running);
    const rest = new Rest(running);
    kept = [];
    for (let i = 0; i < 3; i += 1) kept.push((await rest.participant({ tag: `tag ${i}` })).id);
  });

  afterAll(async () => {
    await bystander.end();
    await running.stop();
  });

  /** Another folder with the copy as its database, for the test to damage. */
  function another(name: string, spoil: (dataDir: string) => void): string {
    const dataDir = join(folder, name);
    cpSync(whole, dataDir, { recursive: true, filter: (path) => !path.includes('patchbay.db') });
    copyFileSync(copy, join(dataDir, 'patchbay.db'));
    spoil(dataDir);
    return dataDir;
  }

  it('can be copied while a phone talks, but not restored while a gateway runs', async () => {
    const { status, said } = npmRun(whole, 'backup');
    expect(said).toMatch(/^Copied to .*backups\/patchbay-\d+T\d+Z\.db\. Keep .*token-secret with it\.$/m);
    expect(status).toBe(0);
    const [name] = readdirSync(join(whole, 'backups'));
    copy = join(whole, 'backups', name!);
    const refused = npmRun(whole, 'restore');
    expect(refused).toMatchObject({ status: 1 });
    expect(refused.said).toContain(`Another gateway uses the data folder ${whole}`);
    expect(await participantsAt(running)).toEqual(expect.arrayContaining(kept));
    await bystander.stillHears();
  });

  it('uses a copy after npm run restore, when its database is damaged', async () => {
    const dataDir = another('damaged', (at) => {
      const bytes = readFileSync(copy);
      writeFileSync(join(at, 'patchbay.db'), bytes.fill('no database', 0, 4_096));
    });
    const failed = await failedStart({ dataDir });
    expect(failed.code).toBe(1);
    expect(failed.words).toMatch(/patchbay\.db is damaged .*It is kept as .*patchbay\.db\.damaged-\d+T\d+Z/);
    expect(failed.words).toMatch(/The newest usable copy is .*To use it: npm run restore/);
    expect(npmRun(dataDir, 'restore')).toMatchObject({ status: 0 });
    const successor = await startGateway({ dataDir });
    expect(await participantsAt(successor)).toEqual(expect.arrayContaining(kept));
    await successor.stop();
    expect(npmRun(dataDir, 'restore', '--', 'empty')).toMatchObject({ status: 0 });
    const empty = await startGateway({ dataDir });
    expect(await participantsAt(empty)).toEqual([]);
    const warned = empty.log.some(({ msg }) =>
      msg?.startsWith('the database is new or empty, but the token secret'),
    );
    expect(warned).toBe(true);
    await empty.stop();
  });

  it.each([
    ['a secret that is empty', 'token-secret', /token-secret is empty: restore the right one/],
    [
      'a folder in the place of the database',
      'patchbay.db',
      /patchbay\.db cannot be opened .*: check owner, mode/,
    ],
    [
      'a database of a newer version',
      'patchbay.db',
      /patchbay\.db has schema version 9999.* Run the version that wrote it/,
    ],
  ])('names %s, and what to do', async (what, name, words) => {
    const dataDir = another(what.replaceAll(' ', '-'), (at) => {
      const file = join(at, name);
      if (what.includes('newer')) return;
      rmSync(file);
      if (what.includes('folder')) mkdirSync(file);
      else writeFileSync(file, what.includes('empty') ? '' : Buffer.from([0xff, 0xfe, 0]), { mode: 0o600 });
    });
    if (what.includes('newer')) await change(dataDir, 'PRAGMA user_version = 9999');
    const failed = await failedStart({ dataDir });
    expect(failed.code).toBe(1);
    expect(failed.words).toMatch(words);
  });

  it('does not keep the gateway from starting: a damaged lock, and rows that are not UTF-8', async () => {
    const dataDir = another('odd', (at) => {
      writeFileSync(
        join(at, 'lock.db'),
        'no database, and longer than the header of one would be '.repeat(9),
      );
    });
    await change(dataDir, "INSERT INTO participants VALUES ('odd', CAST(x'ff00fe80' AS TEXT))");
    const gateway = await startGateway({ dataDir });
    expect(await participantsAt(gateway)).toEqual(expect.arrayContaining(kept));
    expect(gateway.log.some(({ table, id }) => table === 'participants' && id === 'odd')).toBe(true);
    await gateway.stop();
    await bystander.stillHears();
  });

  async function change(dataDir: string, sql: string): Promise<void> {
    const database = new Libsql(join(dataDir, 'patchbay.db'), {});
    await database.exec(sql);
    database.close();
  }
});
