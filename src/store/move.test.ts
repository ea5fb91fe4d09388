import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { usePostgres } from '../../test/support/use-postgres.js';
import { createCore } from '../core/index.js';
import { ACCOUNT } from '../core/testing/index.js';
import { silentLog } from '../shared/testing/index.js';
import { moveToPostgres, openStore, postgresTarget, type Store } from './index.js';
import { connect } from './libsql/database.js';

const server = usePostgres();
let dataDir: string;
let url: string;
const opened: Store[] = [];

beforeEach(async () => {
  dataDir = mkdtempSync(join(tmpdir(), 'patchbay-move-'));
  url = await server().database();
});

afterEach(async () => {
  await close();
  rmSync(dataDir, { recursive: true });
});

async function open(where: 'folder' | 'PostgreSQL', tokenSecret?: string): Promise<Store> {
  const postgres = where === 'PostgreSQL' ? postgresTarget(url) : undefined;
  const store = await openStore({ dataDir, postgres, tokenSecret, log: silentLog });
  opened.push(store);
  return store;
}

async function close(): Promise<void> {
  for (const store of opened.splice(0)) await store.close();
}

const idOf = (n: number): string => `00000000-0000-7000-8000-${String(n).padStart(12, '0')}`;
const move = (hasSecret = false) => moveToPostgres({ dataDir, target: postgresTarget(url), hasSecret });
const contents = (): string =>
  createHash('sha256')
    .update(readFileSync(join(dataDir, 'patchbay.db')))
    .digest('hex');

/** A closed folder with something in each table. */
async function fill(tokenSecret?: string): Promise<void> {
  const store = await open('folder', tokenSecret);
  const core = createCore({ tokenSecret: store.tokenSecret, store: store.core, log: silentLog });
  const session = core.createSession(ACCOUNT, { tag: "it's \\u0000 é 😀" });
  const { participant } = core.createParticipant(ACCOUNT, { publishPermissions: ['audio', 'video'] });
  core.addToSession(ACCOUNT, session.id, participant.id, { sessionId: session.id });
  for (const [revision, externalId] of ['z', 'a', 'long '.repeat(2_000)].entries())
    store.core.saveResumePoint({
      participantId: participant.id,
      externalId,
      point: { layout: ['audio'], revision },
    });
  store.calls.saveCall('one', 'document', 'edge');
  store.programs.saveProgram('two', 'wss://secret');
  store.usage.saveWebhook({ id: idOf(1), text: "it's" } as unknown as Parameters<
    Store['usage']['saveWebhook']
  >[0]);
  for (let n = 1; n <= 2_500; n += 1) {
    store.usage.saveRecord({
      id: idOf(n),
      connectionId: `c${n}`,
      accountId: ACCOUNT,
      participantId: 'p',
      kind: 'phone',
      direction: 'inbound',
      deviceId: `call-${n}`,
      startedAt: n,
      seenAt: n + 5,
      caller: "O'Neil",
      quality: { received: { packets: 50, lost: 1, mos: 4.2 }, sent: { packets: 49 } },
      ...(n > 5 && { endedAt: n + 10, endReason: 'left' as const }),
    });
  }
  await close();
}

async function everything(store: Store): Promise<object> {
  const { core, calls, programs, usage, tokenSecret } = store;
  return {
    tokenSecret,
    core: core.load(),
    // Wherever they are, the edge goes on with them.
    calls: calls.recordsOf('edge'),
    programs: programs.programs(),
    open: usage.openRecords(),
    webhooks: usage.webhooks(),
    records: await usage.find(ACCOUNT, { limit: 3_000 }, 9_000),
  };
}

describe('moving a data folder to PostgreSQL', () => {
  it('moves all that is in it, and leaves it as it was', async () => {
    await fill();
    const before = contents();
    const moved = await move();
    expect(moved.map(({ table, rows, damaged }) => [table, rows, damaged])).toEqual([
      ['sessions', 1, 0],
      ['participants', 1, 0],
      ['resume_points', 3, 0],
      ['calls', 1, 0],
      ['programs', 1, 0],
      ['webhooks', 1, 0],
      ['usage_records', 2_500, 0],
    ]);
    expect(contents()).toBe(before);
    const there = await everything(await open('PostgreSQL'));
    await close();
    expect(there).toEqual(await everything(await open('folder')));
    expect(there).toMatchObject({
      calls: [{ id: 'one' }],
      open: { length: 5 },
      records: { records: { length: 2_500 } },
    });
  });

  it('moves a folder without a token secret if the gateway was given one', async () => {
    const secret = 'given by the environment, long enough';
    await fill(secret);
    await expect(move()).rejects.toThrow('has no token-secret');
    await move(true);
    expect((await open('PostgreSQL', secret)).calls.recordsOf('another edge')).toEqual([
      { id: 'one', document: 'document' },
    ]);
  });

  it('leaves out what is damaged, and says how much', async () => {
    await fill();
    const script =
      'import sqlite3,sys; c=sqlite3.connect(sys.argv[1]); c.executescript(sys.argv[2]); c.commit()';
    const bad = "CAST(x'fffe41' AS TEXT)";
    execFileSync('python3', [
      ...['-c', script, join(dataDir, 'patchbay.db')],
      `INSERT INTO sessions VALUES ('broken', 'no JSON'), (${bad}, '{}'); INSERT INTO calls VALUES (${bad}, 'x', NULL)`,
    ]);
    const moved = await move();
    expect(moved.filter(({ damaged }) => damaged > 0)).toEqual([
      { table: 'sessions', rows: 1, damaged: 2 },
      { table: 'calls', rows: 1, damaged: 1 },
    ]);
  });

  it('is refused while a gateway uses the folder, or once one has used the database', async () => {
    await fill();
    await open('folder');
    await expect(move()).rejects.toThrow('Another gateway uses the data folder');
    await close();
    const empty = await openStore({
      dataDir: join(dataDir, 'other'),
      postgres: postgresTarget(url),
      log: silentLog,
    });
    opened.push(empty);
    await expect(move()).rejects.toThrow(/a gateway has used .*DROP SCHEMA patchbay CASCADE/);
    empty.core.deleteSession('x');
    await empty.flush();
    await close();
    await server().sql('DROP SCHEMA patchbay CASCADE', url);
    await move();
    await expect(move()).rejects.toThrow('nothing is put over what is there');
  });

  it('is refused for a folder of another version, one that is missing, and leaves nothing half done', async () => {
    await expect(move()).rejects.toThrow('patchbay.db is missing');
    await fill();
    const database = connect(join(dataDir, 'patchbay.db'));
    await database.exec('PRAGMA user_version = 3');
    await expect(move()).rejects.toThrow('start and stop it once with this folder');
    await database.exec('PRAGMA user_version = 11');
    await server().sql('CREATE SCHEMA patchbay AUTHORIZATION patchbay', url);
    await (
      await openStore({ dataDir: join(dataDir, 'other'), postgres: postgresTarget(url), log: silentLog })
    ).close();
    await server().sql(
      `UPDATE patchbay.leader SET epoch = 0; DELETE FROM patchbay.secrets;
       ALTER TABLE patchbay.usage_records ADD CHECK (started_at < 2000)`,
      url,
    );
    await expect(move()).rejects.toThrow('violates check constraint');
    database.close();
    for (const table of ['sessions', 'usage_records', 'secrets'])
      expect(await server().sql(`SELECT count(*) FROM patchbay.${table}`, url)).toEqual(['0']);
  });
});
