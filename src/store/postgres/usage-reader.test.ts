import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { until } from '../../../test/support/until.js';
import { usePostgres } from '../../../test/support/use-postgres.js';
import { ACCOUNT } from '../../core/testing/index.js';
import { silentLog } from '../../shared/testing/index.js';
import { openStore, postgresTarget } from '../index.js';
import { PostgresUsageReader } from './usage-reader.js';

const server = usePostgres();
let url: string;
let reader: PostgresUsageReader;
let locked: Promise<unknown> | undefined;

beforeEach(async () => {
  url = await server().database();
  const dataDir = mkdtempSync(join(tmpdir(), 'patchbay-reports-'));
  // Makes the schema.
  await (await openStore({ dataDir, postgres: postgresTarget(url), log: silentLog })).close();
  rmSync(dataDir, { recursive: true });
  reader = new PostgresUsageReader(postgresTarget(url), silentLog);
});

afterEach(async () => {
  await reader.close();
  await unlock();
});

const read = (owner: string) =>
  reader.read(owner, { kind: 'records', accountId: ACCOUNT, filter: { limit: 1 } });
const count = async (what: string): Promise<number> =>
  Number(
    (
      await server().sql(
        `SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND ${what}`,
        url,
      )
    )[0],
  );
const REPORTS = "application_name = 'patchbay reports'";

/** Makes reports wait. */
async function lock(): Promise<void> {
  locked = server()
    .sql('BEGIN; LOCK TABLE patchbay.usage_records; SELECT pg_sleep(60)', url)
    .catch(() => undefined);
  await until('the lock', async () => (await count("wait_event = 'PgSleep'")) === 1, { withinMs: 10_000 });
}

async function unlock(): Promise<void> {
  await server().sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE wait_event = 'PgSleep'");
  await locked;
}

describe('the reader of usage on PostgreSQL', () => {
  it('has two connections at most, refuses more than 8 reads of one account, and serves accounts in turn', async () => {
    expect(await count(REPORTS)).toBe(0);
    await lock();
    const order: string[] = [];
    const ask = (owner: string) =>
      read(owner).then(
        () => order.push(owner),
        (error: unknown) => error,
      );
    const asked = [...Array.from({ length: 12 }, () => 'a'), 'b', 'b'].map(ask);
    await until('two reports', async () => (await count(`${REPORTS} AND wait_event_type = 'Lock'`)) === 2, {
      withinMs: 10_000,
    });
    await unlock();
    const refused = (await Promise.all(asked)).filter((answer) => answer instanceof Error);
    expect(refused).toHaveLength(4);
    expect(refused[0]).toMatchObject({ code: 'PATCHBAY_TOO_MANY_REQUESTS' });
    // Of ten, those of b would be the last ones if they had to wait for all of a.
    expect(order).toHaveLength(10);
    expect(order.lastIndexOf('b')).toBeLessThan(8);
    expect(await count(REPORTS)).toBe(2);
  });

  it('fails with 503 when its connection is lost, and opens another', async () => {
    await lock();
    const lost = expect(read('a')).rejects.toMatchObject({ code: 'PATCHBAY_OVERLOADED' });
    const waiting = `${REPORTS} AND wait_event_type = 'Lock'`;
    await until('a report', async () => (await count(waiting)) === 1, { withinMs: 10_000 });
    await server().sql(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE ${waiting}`);
    await lost;
    await unlock();
    expect(await read('a')).toEqual([]);
  });

  it('closes its connections when it is closed, and refuses reads after that', async () => {
    await lock();
    const reading = expect(read('a')).rejects.toMatchObject({ code: 'PATCHBAY_SHUTTING_DOWN' });
    await until('a report', async () => (await count(`${REPORTS} AND wait_event_type = 'Lock'`)) === 1, {
      withinMs: 10_000,
    });
    await reader.close();
    await reading;
    await expect(read('a')).rejects.toMatchObject({ code: 'PATCHBAY_SHUTTING_DOWN' });
    await unlock();
    await until('no connection', async () => (await count(REPORTS)) === 0, { withinMs: 10_000 });
  });
});
