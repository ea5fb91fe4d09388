import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { usePostgres } from '../../../test/support/use-postgres.js';
import { TcpRelay } from '../../../test/support/tcp-relay.js';
import { until } from '../../../test/support/until.js';
import { createCore, type Core } from '../../core/index.js';
import { ACCOUNT } from '../../core/testing/index.js';
import { silentLog } from '../../shared/testing/index.js';
import { openStore, postgresTarget, type Store } from '../index.js';

const server = usePostgres();

let url: string;
let relay: TcpRelay;
const folders: string[] = [];
const opened: Store[] = [];
let deposed: number;

beforeEach(async () => {
  deposed = 0;
  url = await server().database();
  relay = await TcpRelay.start(server().port);
});

afterEach(async () => {
  server().resume();
  relay.up();
  relay.release();
  await Promise.all(opened.splice(0).map((store) => store.close()));
  await relay.stop();
  for (const folder of folders.splice(0)) await rm(folder, { recursive: true });
});

/** A store that reaches the database by the relay. */
async function open(): Promise<Store> {
  const dataDir = await mkdtemp(join(tmpdir(), 'patchbay-loss-'));
  folders.push(dataDir);
  const store = await openStore({
    dataDir,
    postgres: { ...postgresTarget(url), port: relay.port },
    onDeposed: () => (deposed += 1),
    log: silentLog,
  });
  opened.push(store);
  return store;
}

const coreOn = (store: Store): Core =>
  createCore({ tokenSecret: store.tokenSecret, store: store.core, log: silentLog });

const sql = (text: string): Promise<string[]> => server().sql(text, url);
const tags = (): Promise<string[]> =>
  sql("SELECT document->>'tag' FROM patchbay.sessions ORDER BY document->>'tag'");

const goesOn = (store: Store): Promise<unknown> =>
  until('a store that writes', () => store.health().writable && store.health().waiting === 0, {
    withinMs: 30_000,
  });

/** All changes are refused, and the store says so. */
function expectRefusal(core: Core, store: Store): void {
  expect(store.health().writable).toBe(false);
  expect(() => core.createSession(ACCOUNT, { tag: 'refused' })).toThrow('cannot write to its database');
}

const FAILED = { code: 'PATCHBAY_STORE_FAILED' };

describe('a database that is lost', () => {
  it('by its death: changes are refused, and are accepted again once it is back', async () => {
    const store = await open();
    const core = coreOn(store);
    core.createSession(ACCOUNT, { tag: 'before' });
    await core.flush();
    await server().kill();
    core.createSession(ACCOUNT, { tag: 'kept' });
    await expect(core.flush()).rejects.toMatchObject(FAILED);
    expectRefusal(core, store);
    await server().again();
    await goesOn(store);
    core.createSession(ACCOUNT, { tag: 'since' });
    await core.flush();
    expect(await tags()).toEqual(['before', 'kept', 'since']);
    expect(deposed).toBe(0);
  });

  it('while nothing is written: the next change does not even notice', async () => {
    const store = await open();
    await server().kill();
    await server().again();
    coreOn(store).createSession(ACCOUNT, { tag: 'since' });
    await store.flush();
    expect(await tags()).toEqual(['since']);
  });

  it('between a commit and its answer: the writes are done again, which changes nothing', async () => {
    const store = await open();
    const core = coreOn(store);
    const { id } = core.createSession(ACCOUNT, { tag: 'deleted' });
    await core.flush();
    relay.stallAnswers();
    core.deleteSession(ACCOUNT, id);
    core.createSession(ACCOUNT, { tag: 'saved' });
    const flushed = expect(core.flush()).rejects.toMatchObject(FAILED);
    await until('the commit', async () => (await tags()).join() === 'saved', { withinMs: 10_000 });
    const [change] = await sql('SELECT last FROM patchbay.change_log');
    relay.down();
    await flushed;
    expectRefusal(core, store);
    relay.up();
    relay.release();
    await goesOn(store);
    expect(await tags()).toEqual(['saved']);
    // It was done again, by transactions of their own.
    expect(Number((await sql('SELECT last FROM patchbay.change_log'))[0])).toBeGreaterThan(Number(change));
    await store.close();
    opened.pop();
    expect((await open()).core.load().sessions).toHaveLength(1);
  });

  it('by a partition: what the old connection brings afterwards undoes nothing', async () => {
    const store = await open();
    const core = coreOn(store);
    core.createSession(ACCOUNT, { tag: 'before' });
    await core.flush();
    const session = core.sessions(ACCOUNT, {}).items[0]!;
    relay.stall();
    store.core.saveSession({ ...session, tag: 'late' });
    await expect(store.flush()).rejects.toMatchObject(FAILED);
    store.core.saveSession({ ...session, tag: 'newer' });
    relay.letNewPass();
    await goesOn(store);
    expect(await tags()).toEqual(['newer']);
    relay.release();
    await until('the refusal', () => server().log.includes('may not write any more'), { withinMs: 10_000 });
    expect(await tags()).toEqual(['newer']);
    expect(deposed).toBe(0);
  });

  it('by a pause that is longer than a commit may take', async () => {
    const store = await open();
    const core = coreOn(store);
    core.createSession(ACCOUNT, { tag: 'before' });
    await core.flush();
    server().pause();
    core.createSession(ACCOUNT, { tag: 'kept' });
    await expect(core.flush()).rejects.toMatchObject(FAILED);
    expectRefusal(core, store);
    server().resume();
    await goesOn(store);
    expect(await tags()).toEqual(['before', 'kept']);
  });
});

describe('a database that another gateway takes over', () => {
  it('takes no write of the one before, which is told once', async () => {
    const first = await open();
    const core = coreOn(first);
    core.createSession(ACCOUNT, { tag: 'first' });
    await core.flush();
    const second = await open();
    expect(second.tokenSecret).toBe(first.tokenSecret);
    expect(second.core.load().sessions).toMatchObject([{ tag: 'first' }]);
    core.createSession(ACCOUNT, { tag: 'void' });
    await expect(core.flush()).rejects.toMatchObject(FAILED);
    expectRefusal(core, first);
    expect(deposed).toBe(1);
    second.core.deleteSession('nowhere');
    await second.flush();
    expect(await tags()).toEqual(['first']);
    expect(deposed).toBe(1);
  });

  it('takes none from a new connection of it, either', async () => {
    const first = await open();
    await open();
    relay.down();
    coreOn(first).createSession(ACCOUNT, { tag: 'void' });
    await expect(first.flush()).rejects.toMatchObject(FAILED);
    relay.up();
    await until('the word', () => deposed === 1, { withinMs: 10_000 });
    expect(await tags()).toEqual([]);
  });

  it('is not taken over within a commit, which in turn delays no renewal of a lease', async () => {
    const store = await open();
    const core = coreOn(store);
    core.createSession(ACCOUNT, { tag: 'first' });
    await store.flush();
    const [epoch, generation] = (await sql('SELECT epoch, generation FROM patchbay.leader'))[0]!.split('|');
    const admitted = `BEGIN; SELECT patchbay.admit_write(${epoch}, ${generation});`;
    const open2 = sql(`${admitted} SELECT pg_sleep(60); COMMIT`);
    const ended = expect(open2).rejects.toThrow('terminating connection');
    const sleeping = "SELECT pid FROM pg_stat_activity WHERE wait_event = 'PgSleep'";
    await until('the commit', async () => (await sql(sleeping)).length === 1, { withinMs: 10_000 });
    await sql("SET lock_timeout = 200; UPDATE patchbay.leader SET expires_at = now() + interval '1 h'");
    for (const changed of ['epoch', 'generation']) {
      const taking = sql(`SET lock_timeout = 200; UPDATE patchbay.leader SET ${changed} = ${changed} + 1`);
      await expect(taking).rejects.toThrow('lock timeout');
    }
    await sql(`SELECT pg_terminate_backend(pid) FROM (${sleeping}) AS sleeping`);
    await ended;
    core.createSession(ACCOUNT, { tag: 'second' });
    await store.flush();
    expect(await tags()).toEqual(['first', 'second']);
  });

  it('is opened by several at once: one after the other, and only the last may write', async () => {
    const stores = await Promise.all([open(), open(), open(), open()]);
    expect(new Set(stores.map(({ tokenSecret }) => tokenSecret)).size).toBe(1);
    const results = await Promise.allSettled(
      stores.map((store, n) => {
        coreOn(store).createSession(ACCOUNT, { tag: String(n) });
        return store.flush();
      }),
    );
    expect(results.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
    expect(await tags()).toHaveLength(1);
    expect(deposed).toBe(3);
    expect(await sql('SELECT epoch FROM patchbay.leader')).toEqual(['4']);
  });
});
