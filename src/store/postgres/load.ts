import type { StoredEdge } from '../../cluster/index.js';
import type { Log } from '../../shared/index.js';
import type { KeptRecord, Webhook } from '../../usage/index.js';
import {
  CORE_TABLES,
  type CoreItems,
  coreStateOf,
  loadCoreItems,
  roomForState,
  type StateSource,
} from '../core-state.js';
import type { FoundState } from '../engine.js';
import { ownerIn, parsed, readable, type Row, type SqlValue, storedEdge } from '../rows.js';
import type { SealedRow } from '../seal.js';
import { toRecord, USAGE_COLUMNS } from '../usage-queries.js';
import type { Connection } from './connection.js';

/** A large table takes its time; nobody waits for an answer meanwhile. */
const LOAD_LIMIT_MS = 60_000;

/** Everything that is stored, except for the records of what has ended. */
export interface LoadedState {
  readonly core: CoreItems;
  readonly calls: readonly SealedRow[];
  readonly programs: readonly SealedRow[];
  readonly edges: readonly StoredEdge[];
  readonly openRecords: readonly KeptRecord[];
  readonly webhooks: readonly Webhook[];
  /** When all open records were seen last. */
  readonly heartbeat: number;
}

/** What becomes of rows that are read as a whole. */
export const sealedRow = (row: Row): SealedRow => ({
  id: String(row['id']),
  sealed: String(row['sealed']),
  ...ownerIn(row),
});
export const webhook = (row: Row): Webhook => parsed(row['document']) as Webhook;
export const openRecord = (row: Row): KeptRecord => toRecord(row) as KeptRecord;
const OPEN_RECORDS = `SELECT ${USAGE_COLUMNS.join(', ')} FROM usage_records WHERE ended_at IS NULL`;

/** Reads it in slices: the tables must not change meanwhile, or be seen in one snapshot. */
export async function load(connection: Connection, log: Log): Promise<LoadedState> {
  const all = (sql: string) => connection.rows(sql, [], LOAD_LIMIT_MS);
  const core = await loadCoreItems(sourceOn(connection), roomForState(), log);
  const [changes] = await all('SELECT heartbeat FROM change_log');
  return {
    core,
    calls: (await all('SELECT id, sealed, edge FROM calls')).map(sealedRow),
    programs: (await all('SELECT id, sealed FROM programs')).map(sealedRow),
    edges: readable('edges', await all('SELECT id, document FROM edges'), storedEdge, log),
    openRecords: (await all(OPEN_RECORDS)).map(openRecord),
    webhooks: readable('webhooks', await all('SELECT id, document FROM webhooks'), webhook, log),
    heartbeat: Number(changes?.['heartbeat']),
  };
}

const byId = (one: { readonly id: string }, other: { readonly id: string }): number =>
  one.id < other.id ? -1 : 1;

/** As the store gives it to those who ask: ordered, and with the heartbeat in each open record. */
export function foundState({ core, heartbeat, ...rest }: LoadedState): FoundState {
  return {
    core: coreStateOf(core),
    calls: [...rest.calls].sort(byId),
    programs: [...rest.programs].sort(byId),
    edges: [...rest.edges].sort(byId),
    openRecords: rest.openRecords
      .map((record) => ({ ...record, seenAt: Math.max(record.seenAt, heartbeat) }))
      .sort(byId),
    webhooks: [...rest.webhooks].sort(byId),
  };
}

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
