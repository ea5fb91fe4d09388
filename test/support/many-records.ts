import { openDatabase } from '../../src/store/libsql/database.js';
import { openStore } from '../../src/store/index.js';
import { join } from 'node:path';
import { silentLog } from '../../src/shared/testing/index.js';

/** Fills the data folder of a stopped gateway with usage records of an account. */
export async function fillUsage(
  dataDir: string,
  { account, count, from, to }: { account: string; count: number; from: number; to: number },
): Promise<void> {
  // Makes the database with its tables.
  await (await openStore({ dataDir, log: silentLog })).close();
  const database = await openDatabase(join(dataDir, 'patchbay.db'));
  const id = `printf('%08x-%04x-7000-8000-%012x', at >> 16, at & 65535, n)`;
  await database.exec(`
    INSERT INTO usage_records (id, connection_id, account_id, session_tag, participant_id, kind, direction, device_id,
      caller, called, started_at, seen_at, ended_at, end_reason)
    WITH RECURSIVE numbers(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM numbers WHERE n + 1 < ${count}),
      moments AS (SELECT n, ${from} + n * ${Math.floor((to - from) / count)} AS at FROM numbers)
    SELECT ${id}, ${id}, '${account}', 'tag ' || n % 300, ${id}, 'phone', 'inbound', ${id}, '+15555550100', 'room',
      at, at + 60000, at + 60000, 'left' FROM moments`);
  database.close();
}
