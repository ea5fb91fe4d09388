import { mkdtemp, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createCore, type Core } from '../core/index.js';
import { ACCOUNT } from '../core/testing/index.js';
import { silentLog } from '../shared/testing/index.js';
import { type Database, openDatabase, rows } from './libsql/database.js';
import { openStore, type Store } from './index.js';
import { coreStateIn } from './libsql/load.js';

let dataDir: string;
const opened: Store[] = [];

beforeEach(async () => {
  dataDir = await mkdtemp(join(tmpdir(), 'patchbay-store-'));
});

afterEach(async () => {
  await Promise.all(opened.splice(0).map((store) => store.close()));
  await rm(dataDir, { recursive: true });
});

async function open(): Promise<Store> {
  const store = await openStore({ dataDir, log: silentLog });
  opened.push(store);
  return store;
}

async function reopen(): Promise<Store> {
  await opened.pop()?.close();
  return open();
}

function coreOn(store: Store): Core {
  return createCore({ tokenSecret: store.tokenSecret, store: store.core, log: silentLog });
}

/** Makes a database what version 10 of the schema left. */
async function backToVersion10(database: Database): Promise<void> {
  await database.exec('ALTER TABLE calls DROP COLUMN edge; PRAGMA user_version = 10');
}

async function backToVersion9(database: Database): Promise<void> {
  await backToVersion10(database);
  await database.exec('DROP TABLE edges; PRAGMA user_version = 9');
}

async function backToVersion8(database: Database): Promise<void> {
  await backToVersion9(database);
  for (const index of ['usage_records_by_connection', 'usage_records_by_device'])
    await database.exec(`DROP INDEX ${index}`);
  await database.exec('PRAGMA user_version = 8');
}

async function backToVersion7(database: Database): Promise<void> {
  await backToVersion8(database);
  await database.exec('ALTER TABLE usage_records DROP COLUMN test; PRAGMA user_version = 7');
}

async function backToVersion6(database: Database): Promise<void> {
  await backToVersion7(database);
  await database.exec('DROP TABLE programs; PRAGMA user_version = 6');
}

async function backToVersion5(database: Database): Promise<void> {
  await backToVersion6(database);
  await database.exec('ALTER TABLE usage_records DROP COLUMN quality; PRAGMA user_version = 5');
}

async function backToVersion4(database: Database): Promise<void> {
  await backToVersion5(database);
  await database.exec('DROP TABLE calls; PRAGMA user_version = 4');
}

async function backToVersion3(database: Database): Promise<void> {
  await backToVersion4(database);
  for (const column of ['received_codecs', 'received_encryption', 'sent_codecs', 'sent_encryption'])
    await database.exec(`ALTER TABLE usage_records DROP COLUMN ${column}`);
  await database.exec('PRAGMA user_version = 3');
}

describe('a data folder', () => {
  it('has one secret, for its owner alone', async () => {
    const first = (await open()).tokenSecret;
    expect((await reopen()).tokenSecret).toBe(first);
    const file = await stat(join(dataDir, 'token-secret'));
    expect(file.mode & 0o777).toBe(0o600);
    expect(first.length).toBeGreaterThanOrEqual(32);
  });

  it('belongs to one gateway at a time', async () => {
    await open();
    await expect(openStore({ dataDir, log: silentLog })).rejects.toThrow('Another gateway');
  });

  it('with more than fits into memory is refused, with the largest accounts and what to do', async () => {
    const store = await open();
    const { participant } = coreOn(store).createParticipant(ACCOUNT, {});
    for (let n = 0; n < 600; n += 1) {
      const streamAliases = Array.from({ length: 50 }, (_, k) => `${n} ${k}`.padEnd(100));
      const subscriptions = { participants: [{ participantId: 'x', streamAliases }] };
      store.core.saveParticipant({ ...participant, id: `p${n}`, subscriptions });
    }
    await opened.pop()!.close();
    const database = await openDatabase(join(dataDir, 'patchbay.db'));
    const loading = coreStateIn(database, 2_000_000, silentLog);
    await expect(loading).rejects.toThrow(`account ${ACCOUNT}: 601 items`);
    await expect(loading).rejects.toThrow('--max-old-space-size');
    const { participants } = await coreStateIn(database, 20_000_000, silentLog);
    database.close();
    expect(participants).toHaveLength(601);
    expect(participants.map(({ id }) => id)).toEqual(participants.map(({ id }) => id).sort());
  });

  it('of version 2 is read: its participants asked for no events', async () => {
    const before = coreOn(await open());
    const old = before.createParticipant(ACCOUNT, { tag: 'old', callbackUrl: 'http://127.0.0.1:9/' });
    before.addToSession(ACCOUNT, before.createSession(ACCOUNT, {}).id, old.participant.id);
    const known = before.participant(ACCOUNT, old.participant.id);
    await before.flush();
    await opened.pop()!.close();
    const database = await openDatabase(join(dataDir, 'patchbay.db'));
    await backToVersion3(database);
    await database.exec(`
      UPDATE participants SET document = json_remove(document, '$.events');
      INSERT INTO participants VALUES ('damaged', 'no JSON');
      PRAGMA user_version = 2`);
    database.close();
    const core = coreOn(await open());
    expect(core.counts()).toMatchObject({ sessions: 1, participants: 1 });
    expect(core.authenticate(old.token)).toEqual(known);
    const { participant } = core.createParticipant(ACCOUNT, { events: ['hold', 'hold'] });
    expect(participant.events).toEqual(['hold']);
    await core.flush();
    expect(coreOn(await reopen()).participant(ACCOUNT, participant.id).events).toEqual(['hold']);
  });

  it('of version 3 is read: codecs and encryption of its connections are unknown', async () => {
    const found = {
      id: '0190a0b0-0000-7000-8000-000000000001',
      connectionId: 'c1',
      accountId: ACCOUNT,
      participantId: 'p1',
      kind: 'phone',
      direction: 'inbound',
      deviceId: 'call-1',
      startedAt: 1_000,
    } as const;
    const record = { ...found, seenAt: 2_000 };
    const store = await open();
    store.usage.saveRecord({ ...record, endedAt: 2_000, endReason: 'left' });
    store.usage.saveRecord({ ...record, id: `${record.id.slice(0, -1)}2`, connectionId: 'c2' });
    await opened.pop()!.close();
    const database = await openDatabase(join(dataDir, 'patchbay.db'));
    await backToVersion3(database);
    database.close();

    const { usage } = await open();
    const [left] = usage.openRecords();
    expect(left).toEqual({ ...record, id: left!.id, connectionId: 'c2' });
    const sent = { codecs: ['opus', 'VP8'], encryption: 'DTLS-SRTP' };
    usage.saveRecord({ ...left!, endedAt: 2_000, endReason: 'crashed', sent });
    const { records } = await usage.find(ACCOUNT, { limit: 10 }, 3_000);
    expect(records).toEqual([
      { ...found, endedAt: 2_000, endReason: 'left' },
      { ...found, id: left!.id, connectionId: 'c2', endedAt: 2_000, endReason: 'crashed', sent },
    ]);
  });

  it('of version 5 is read, which kept no quality of usage records', async () => {
    const found = {
      id: '0199a3a0-0000-7000-8000-000000000001',
      connectionId: 'c1',
      accountId: ACCOUNT,
      participantId: 'p1',
      kind: 'phone',
      direction: 'inbound',
      deviceId: 'call-1',
      startedAt: 1_000,
      endedAt: 2_000,
      endReason: 'left',
    } as const;
    const record = { ...found, seenAt: 2_000 };
    (await open()).usage.saveRecord(record);
    await opened.pop()!.close();
    const database = await openDatabase(join(dataDir, 'patchbay.db'));
    await backToVersion5(database);
    database.close();

    const { usage } = await open();
    const find = async (): Promise<object[]> => [
      ...(await usage.find(ACCOUNT, { limit: 10 }, 3_000)).records,
    ];
    expect(await find()).toEqual([found]);
    const quality = { received: { packets: 50, lost: 1, mos: 4.2 }, sent: { packets: 49 } };
    usage.saveRecord({ ...record, quality });
    expect(await find()).toEqual([{ ...found, quality }]);
  });

  it('of version 8 is read: its connections can be found, too', async () => {
    const record = {
      id: '0199a3a0-0000-7000-8000-000000000001',
      connectionId: 'c1',
      accountId: ACCOUNT,
      participantId: 'p1',
      kind: 'phone',
      direction: 'inbound',
      deviceId: 'call-1',
      startedAt: 1_000,
      endedAt: 2_000,
      endReason: 'left',
    } as const;
    (await open()).usage.saveRecord({ ...record, seenAt: 2_000 });
    await opened.pop()!.close();
    const database = await openDatabase(join(dataDir, 'patchbay.db'));
    await backToVersion8(database);
    database.close();
    const { usage } = await open();
    expect(await usage.findConnections(ACCOUNT, { id: 'call-1', limit: 10 })).toEqual([[record]]);
  });

  it('of version 10 is read: its calls belong to the next edge', async () => {
    (await open()).calls.saveCall('call-1', 'its document', 'before');
    await opened.pop()!.close();
    const database = await openDatabase(join(dataDir, 'patchbay.db'));
    await backToVersion10(database);
    database.close();
    const record = { id: 'call-1', document: 'its document' };
    expect((await open()).calls.recordsOf('edge')).toEqual([record]);
    expect((await reopen()).calls.ownerOf('call-1')).toBe('edge');
  });

  it('of version 9 is read, which knew no edges', async () => {
    coreOn(await open()).createSession(ACCOUNT, { tag: 'before' });
    await opened.pop()!.close();
    const database = await openDatabase(join(dataDir, 'patchbay.db'));
    await backToVersion9(database);
    database.close();
    const store = await open();
    expect(coreOn(store).sessions(ACCOUNT, {}).items).toMatchObject([{ tag: 'before' }]);
    expect(store.edges.edges()).toEqual([]);
    const record = { process: 'p', counted: 7, closing: {} };
    store.edges.saveEdge('one', record);
    expect((await reopen()).edges.edges()).toEqual([{ id: 'one', record }]);
  });

  it('of version 6 is read, which kept no programs', async () => {
    coreOn(await open()).createSession(ACCOUNT, { tag: 'before' });
    await opened.pop()!.close();
    const database = await openDatabase(join(dataDir, 'patchbay.db'));
    await backToVersion6(database);
    database.close();
    const store = await reopen();
    expect(coreOn(store).sessions(ACCOUNT, {}).items).toMatchObject([{ tag: 'before' }]);
    expect(store.programs.programs()).toEqual([]);
    store.programs.saveProgram('one', 'document');
    store.programs.saveProgram('gone', 'document');
    store.programs.deleteProgram('gone');
    expect((await reopen()).programs.programs()).toEqual([{ id: 'one', document: 'document' }]);
  });

  it('of version 7 is read, which knew no test calls', async () => {
    const found = {
      id: '0199a3a0-0000-7000-8000-000000000001',
      connectionId: 'c1',
      accountId: ACCOUNT,
      participantId: 'p1',
      kind: 'phone',
      direction: 'inbound',
      deviceId: 'call-1',
      startedAt: 1_000,
      endedAt: 2_000,
      endReason: 'left',
    } as const;
    (await open()).usage.saveRecord({ ...found, seenAt: 2_000 });
    await opened.pop()!.close();
    const database = await openDatabase(join(dataDir, 'patchbay.db'));
    await backToVersion7(database);
    database.close();

    const { usage } = await open();
    const second = { ...found, id: '0199a3a0-0000-7000-8000-000000000002', test: true } as const;
    usage.saveRecord({ ...second, seenAt: 2_000 });
    expect((await usage.find(ACCOUNT, { limit: 10 }, 3_000)).records).toEqual([found, second]);
  });

  it('of version 4 is read, which kept no calls', async () => {
    const before = coreOn(await open());
    const { id } = before.createParticipant(ACCOUNT, { tag: 'old' }).participant;
    await before.flush();
    await opened.pop()!.close();
    const database = await openDatabase(join(dataDir, 'patchbay.db'));
    await backToVersion4(database);
    database.close();
    const store = await open();
    expect(coreOn(store).participant(ACCOUNT, id).tag).toBe('old');
    expect(store.calls.size).toBe(0);
    store.calls.saveCall('call-1', 'its document', 'edge');
    expect((await reopen()).calls.recordsOf('edge')).toEqual([{ id: 'call-1', document: 'its document' }]);
  });

  it('holds media types in upper case, as versions before do, and gives them to the core in lower case', async () => {
    const before = coreOn(await open());
    const { id } = before.createParticipant(ACCOUNT, { publishPermissions: ['video', 'audio'] }).participant;
    await before.flush();
    await opened.pop()!.close();
    const database = await openDatabase(join(dataDir, 'patchbay.db'));
    const kept = `SELECT CAST(document->>'publishPermissions' AS BLOB) AS kept FROM participants`;
    expect(await rows(database, kept)).toEqual([{ kept: '["AUDIO","VIDEO"]' }]);
    database.close();
    const { publishPermissions } = coreOn(await open()).participant(ACCOUNT, id);
    expect(publishPermissions).toEqual(['audio', 'video']);
  });

  it('of a newer version is refused, and not changed', async () => {
    await open();
    await opened.pop()?.close();
    const database = await openDatabase(join(dataDir, 'patchbay.db'));
    await database.exec('PRAGMA user_version = 99');
    database.close();
    await expect(openStore({ dataDir, log: silentLog })).rejects.toThrow('schema version 99');
    await expect(openStore({ dataDir, log: silentLog })).rejects.toThrow('schema version 99');
  });
});
