import type { StoredState } from '../../core/index.js';
import type { Log } from '../../shared/index.js';
import type { KeptRecord, Webhook } from '../../usage/index.js';
import { CORE_TABLES, coreStateOf, loadCoreItems, roomForState, type StateSource } from '../core-state.js';
import type { FoundState } from '../engine.js';
import { ownerIn, parsed, readable, type SqlValue, storedEdge } from '../rows.js';
import type { SealedRow } from '../seal.js';
import { asRead, toRecord, USAGE_COLUMNS } from '../usage-queries.js';
import { bytesOf, type Database, rows } from './database.js';

const WHOSE = `SELECT CAST(document->>'accountId' AS BLOB) AS account, count(*) AS items, sum(octet_length(document)) AS bytes
  FROM (SELECT document FROM sessions UNION ALL SELECT document FROM participants)
  WHERE json_valid(document)
  GROUP BY 1 ORDER BY bytes DESC LIMIT 5`;

/** @param room see {@link loadCoreItems} */
export async function coreStateIn(database: Database, room: number, log: Log): Promise<StoredState> {
  return coreStateOf(await loadCoreItems(sourceOf(database), room, log));
}

function sourceOf(database: Database): StateSource {
  return {
    page: (table, after, limit) => {
      const { keys } = CORE_TABLES[table];
      // Keys are read and compared in hexadecimal, since they may hold bytes that are not UTF-8.
      const columns = [...keys.map((key) => `hex(${key}) AS hex_${key}`), ...keys.map((key) => bytesOf(key))];
      if (table === 'resume_points') columns.push('saved');
      const parameters = after ? keys.map((key): SqlValue => after[`hex_${key}`]!) : [];
      const places = parameters.map(() => 'CAST(unhex(?) AS TEXT)').join(', ');
      return rows(
        database,
        `SELECT ${columns.join(', ')}, ${bytesOf('document')} FROM ${table}
         ${after ? `WHERE (${keys.join(', ')}) > (${places})` : ''}
         ORDER BY ${keys.map((key) => `${table}.${key}`).join(', ')} LIMIT ${limit}`,
        parameters,
      );
    },
    largest: () => rows(database, WHOSE),
    words: {
      place: 'the data folder',
      deletion: `sqlite3 patchbay.db "DELETE FROM participants WHERE document->>'accountId' = '<account>'"`,
    },
  };
}

/** Reads everything that is stored, except for the records of what has ended. */
export async function load(database: Database, log: Log): Promise<FoundState> {
  const core = await coreStateIn(database, roomForState(), log);
  const open = await rows(
    database,
    `SELECT ${asRead(USAGE_COLUMNS, bytesOf)} FROM usage_records WHERE ended_at IS NULL ORDER BY usage_records.id`,
  );
  const webhooks = await rows(
    database,
    `SELECT ${bytesOf('id')}, ${bytesOf('document')} FROM webhooks ORDER BY webhooks.id`,
  );
  const edges = await rows(database, `SELECT ${bytesOf('id')}, ${bytesOf('document')} FROM edges`);
  return {
    core,
    edges: readable('edges', edges, storedEdge, log),
    calls: await sealedRows(database, 'calls', bytesOf('edge')),
    programs: await sealedRows(database, 'programs'),
    openRecords: open.map((row) => toRecord(row) as KeptRecord),
    webhooks: readable('webhooks', webhooks, (row) => parsed(row['document']) as Webhook, log),
  };
}

async function sealedRows(
  database: Database,
  table: 'calls' | 'programs',
  edge = 'NULL AS edge',
): Promise<readonly SealedRow[]> {
  const found: SealedRow[] = [];
  const columns = `${bytesOf('id')}, hex(id) AS key, ${bytesOf('sealed')}, ${edge}`;
  for (const row of await rows(database, `SELECT ${columns} FROM ${table}`)) {
    const id = String(row['id']);
    const key = row['key']!;
    found.push({ id, sealed: String(row['sealed']), ...ownerIn(row) });
    // Nothing opens the row of an id that is not UTF-8, and no later deletion would find it.
    if (Buffer.from(id).toString('hex').toUpperCase() !== key)
      await rows(database, `DELETE FROM ${table} WHERE id = CAST(unhex(?) AS TEXT)`, [key]);
  }
  return found;
}
