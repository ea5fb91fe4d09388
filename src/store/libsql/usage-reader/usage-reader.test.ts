import { execFileSync } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { until } from '../../../../test/support/until.js';
import { ACCOUNT } from '../../../core/testing/index.js';
import { openStore, type Store } from '../../index.js';
import { UsageTables } from '../../usage-tables.js';
import { silentLog } from '../../../shared/testing/index.js';
import { UsageReaderProcess } from './usage-reader.js';

let dataDir: string;
let store: Store;
let reader: UsageReaderProcess;

beforeAll(async () => {
  dataDir = await mkdtemp(join(tmpdir(), 'patchbay-reader-'));
  store = await openStore({ dataDir, log: silentLog });
  for (let n = 0; n < 1_200; n += 1) {
    const id = `00000000-0000-7000-8000-${String(n).padStart(12, '0')}`;
    const about = { kind: 'phone', direction: 'inbound', participantId: 'p', deviceId: 'd' } as const;
    const times = { startedAt: n, seenAt: n, endedAt: n + 1_000, endReason: 'left' } as const;
    store.usage.saveRecord({ id, connectionId: id, accountId: ACCOUNT, ...about, ...times });
  }
  await store.flush();
  reader = new UsageReaderProcess(join(dataDir, 'patchbay.db'), silentLog);
});

afterAll(async () => {
  await reader.close();
  await store.close();
  await rm(dataDir, { recursive: true });
});

const page = (limit: number, owner = ACCOUNT) =>
  reader.read(owner, { kind: 'records', accountId: ACCOUNT, filter: { limit } });

/** Processes that read this folder. */
const processes = (): number[] =>
  execFileSync('ps', ['-eo', 'pid,args'], { encoding: 'utf8' })
    .split('\n')
    .filter((line) => line.includes('usage-reader/main') && line.includes(dataDir))
    .map((line) => Number.parseInt(line, 10));

describe('the reader of usage', () => {
  it('is a process of its own that reads pages, totals and counts', async () => {
    expect(processes()).toEqual([]);
    expect((await page(1_000)).map(({ startedAt }) => startedAt)).toEqual(
      Array.from({ length: 1_001 }, (_, n) => n),
    );
    const totals = { kind: 'totals', accountId: ACCOUNT, filter: {}, now: 0 } as const;
    expect(await reader.read(ACCOUNT, totals)).toEqual([{ connections: 1_200, seconds: 1_200 }]);
    expect(await reader.read('', { kind: 'expired', before: 1_700 })).toEqual([700]);
    expect(processes()).toHaveLength(1);
  });

  it('continues after a record that was deleted meanwhile', async () => {
    const cursor = '00000000-01f4-7000-8000-00000000ffff';
    const filter = { limit: 1, cursor };
    const [record] = await reader.read(ACCOUNT, { kind: 'records', accountId: ACCOUNT, filter });
    expect(record!.startedAt).toBe(501);
  });

  it('refuses more than 8 waiting reads of one account, and serves accounts in turn', async () => {
    const order: string[] = [];
    const ask = (owner: string) =>
      page(1, owner).then(
        () => order.push(owner),
        (error: unknown) => error,
      );
    const asked = [...Array.from({ length: 12 }, () => 'a'), 'b', 'b'].map(ask);
    const refused = (await Promise.all(asked)).filter((answer) => answer instanceof Error);
    expect(refused).toHaveLength(4);
    expect(refused[0]).toMatchObject({ code: 'PATCHBAY_TOO_MANY_REQUESTS' });
    expect(order.slice(0, 5).filter((owner) => owner === 'b')).toHaveLength(2);
  });

  it('fails with 503 when its process dies, and starts another', async () => {
    const [pid] = processes();
    const slow = page(1_000);
    process.kill(pid!, 'SIGKILL');
    await expect(slow).rejects.toMatchObject({ code: 'PATCHBAY_OVERLOADED' });
    expect(await page(1)).toHaveLength(2);
    expect(processes()).not.toContain(pid);
  });

  it('counts what is to be deleted, so that the deletion comes in slices', async () => {
    const written: string[] = [];
    const queue = { put: (_key: string, name: string) => written.push(name), flush: () => Promise.resolve() };
    const tables = new UsageTables({ openRecords: [], webhooks: [] }, reader, queue as never, 0);
    tables.deleteRecordsBefore(2_100);
    expect(written).toHaveLength(1);
    await until('slices', () => written.length === 4, { withinMs: 10_000 });
    expect(new Set(written)).toEqual(new Set(['deleteRecords']));
    store.usage.deleteRecordsBefore(2_100);
    await store.flush();
    expect(await reader.read('', { kind: 'expired', before: 2_100 })).toEqual([600]);
  });

  it('ends its process when it is closed, and refuses reads after that', async () => {
    const reading = page(1_000);
    const closing = reader.close();
    await expect(reading).rejects.toMatchObject({ code: 'PATCHBAY_SHUTTING_DOWN' });
    await closing;
    expect(processes()).toEqual([]);
    await expect(page(1)).rejects.toMatchObject({ code: 'PATCHBAY_SHUTTING_DOWN' });
  });
});
