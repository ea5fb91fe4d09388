import type { Log } from '../../shared/index.js';
import type { KeptRecord, Webhook } from '../../usage/index.js';
import { CORE_TABLES, loadCoreState, roomForState, type StateSource } from '../core-state.js';
import type { FoundState } from '../engine.js';
import { parsed, readable, type Row, type SqlValue } from '../rows.js';
import type { SealedRow } from '../seal.js';
import { toRecord, USAGE_COLUMNS } from '../usage-queries.js';
import type { Connection } from './connection.js';

/** A large table takes its time; nobody waits for an answer meanwhile. */
const LOAD_LIMIT_MS = 60_000;

/** Reads everything that is stored, except for the records of what has ended. */
export async function load(connection: Connection, log: Log): Promise<FoundState> {
  const all = (sql: string) => connection.rows(sql, [], LOAD_LIMIT_MS);
  const core = await loadCoreState(sourceOn(connection), roomForState(), log);
  const sealed = async (table: 'calls' | 'programs'): Promise<readonly SealedRow[]> =>
    (await all(`SELECT id, sealed FROM ${table} ORDER BY id`)).map(sealedRow);
  const webhooks = await all('SELECT id, document FROM webhooks ORDER BY id');
  return {
    core,
    calls: await sealed('calls'),
    programs: await sealed('programs'),
    openRecords: (await all(OPEN_RECORDS)).map(openRecord),
    webhooks: readable('webhooks', webhooks, webhook, log),
  };
}

/** All open records were seen at the last heartbeat. */
const OPEN_RECORDS = `SELECT ${USAGE_COLUMNS.map((column) =>
  column === 'seen_at'
    ? 'greatest(seen_at, (SELECT heartbeat FROM change_log)) AS seen_at'
    : column === 'id'
      ? 'usage_records.id'
      : column,
).join(', ')} FROM usage_records WHERE ended_at IS NULL ORDER BY usage_records.id`;

const openRecord = (row: Row): KeptRecord => toRecord(row) as KeptRecord;
const webhook = (row: Row): Webhook => parsed(row['document']) as Webhook;
const sealedRow = (row: Row): SealedRow => ({ id: String(row['id']), sealed: String(row['sealed']) });

function sourceOn(connection: Connection): StateSource {
  return {
    page: (table, after, limit) => {
      const { keys } = CORE_TABLES[table];
      const columns = [...keys, 'document', ...(table === 'resume_points' ? ['saved'] : [])];
      const parameters = after ? keys.map((key): SqlValue => after[key]!) : [];
      return connection.rows(
        `SELECT ${columns.join(', ')} FROM ${table}
         ${after ? `WHERE (${keys.join(', ')}) > (${keys.map(() => '?').join(', ')})` : ''}
         ORDER BY ${keys.join(', ')} LIMIT ${limit}`,
        parameters,
        LOAD_LIMIT_MS,
      );
    },
    largest: () =>
      connection.rows(
        `SELECT document->>'accountId' AS account, count(*) AS items, sum(octet_length(document::text)) AS bytes
         FROM (SELECT document FROM sessions UNION ALL SELECT document FROM participants) AS documents
         GROUP BY 1 ORDER BY bytes DESC LIMIT 5`,
        [],
        LOAD_LIMIT_MS,
      ),
    words: {
      place: 'the database',
      deletion: `psql: DELETE FROM patchbay.participants WHERE document->>'accountId' = '<account>'`,
    },
  };
}
