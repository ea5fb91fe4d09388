import type { DeviceQuality, MediaFormats } from '../core/index.js';
import type { ConnectionQuery, UsageFilter, UsageTotal, WrittenRecord } from '../usage/index.js';
import type { Row, SqlValue } from './rows.js';

/** A connection on which usage is read, and what its SQL has other words for. */
export interface UsageDatabase {
  /** @param sql has a `?` for each parameter */
  rows(sql: string, parameters?: readonly SqlValue[]): Promise<readonly Row[]>;
  /** How to select a column of text. */
  readonly text: (column: string, expression?: string) => string;
  readonly words: {
    /** Function of two texts: where the second begins in the first, 0 if nowhere. */
    readonly position: string;
    /** Function of several numbers: the greatest. */
    readonly greatest: string;
  };
}

/** Reads usage without blocking the gateway. */
export interface UsageReader {
  /**
   * Does one job.
   * @param owner whose job it is: owners take turns
   * @throws PatchbayError TOO_MANY_REQUESTS, OVERLOADED, SHUTTING_DOWN
   */
  read<K extends ReaderJob['kind']>(
    owner: string,
    job: ReaderJob & { readonly kind: K },
  ): Promise<ReaderResults[K]>;
  close(): Promise<void>;
}

/** A job for the reader, as plain data. */
export type ReaderJob =
  | {
      readonly kind: 'records';
      readonly accountId: string;
      readonly filter: UsageFilter & { readonly limit: number };
    }
  | {
      readonly kind: 'totals';
      readonly accountId: string;
      readonly filter: UsageFilter;
      /** Until when open records are counted. */
      readonly now: number;
    }
  | { readonly kind: 'connections'; readonly accountId: string; readonly query: ConnectionQuery }
  /** Counts the records that ended before a time. */
  | { readonly kind: 'expired'; readonly before: number };

/** What one {@link ReaderJob} found. */
export interface ReaderResults {
  readonly records: readonly WrittenRecord[];
  readonly totals: readonly UsageTotal[];
  readonly connections: readonly (readonly WrittenRecord[])[];
  readonly expired: readonly number[];
}

const RECORD_COLUMNS = [
  'id',
  'connection_id',
  'account_id',
  'session_id',
  'session_tag',
  'participant_id',
  'participant_tag',
  'kind',
  'direction',
  'device_id',
  'caller',
  'caller_name',
  'called',
  'started_at',
  'ended_at',
  'end_reason',
  'received_codecs',
  'received_encryption',
  'sent_codecs',
  'sent_encryption',
  'quality',
  'test',
];
/** All columns of a usage record. */
export const USAGE_COLUMNS = [...RECORD_COLUMNS, 'seen_at', 'callback_url'];
/** Columns that do not become a property of their own. */
const NO_PROPERTIES: ReadonlySet<string> = new Set([
  '_metadata',
  'received_codecs',
  'received_encryption',
  'sent_codecs',
  'sent_encryption',
  'quality',
  'test',
]);
export const NUMBER_COLUMNS = ['started_at', 'ended_at', 'seen_at', 'test'];
const MAX_TOTALS = 1_000;

/** How to select columns of usage records: numbers as they are, text as the engine says. */
export function asRead(columns: readonly string[], text: UsageDatabase['text']): string {
  return columns.map((column) => (NUMBER_COLUMNS.includes(column) ? column : text(column))).join(', ');
}

/** Does one job on a connection. Blocks the thread for as long as that takes, maybe seconds. */
export async function runJob<K extends ReaderJob['kind']>(
  database: UsageDatabase,
  job: ReaderJob & { readonly kind: K },
): Promise<ReaderResults[K]>;
export async function runJob(database: UsageDatabase, job: ReaderJob): Promise<readonly unknown[]> {
  switch (job.kind) {
    case 'records':
      return records(database, job.accountId, job.filter);
    case 'totals':
      return totals(database, job.accountId, job.filter, job.now);
    case 'connections':
      return connections(database, job.accountId, job.query);
    case 'expired': {
      const [row] = await database.rows('SELECT count(*) AS n FROM usage_records WHERE ended_at < ?', [
        job.before,
      ]);
      return [Number(row?.['n'] ?? 0)];
    }
  }
}

/** Ordered by start and then by id, as the index is. */
async function records(
  database: UsageDatabase,
  accountId: string,
  filter: UsageFilter & { readonly limit: number },
): Promise<readonly WrittenRecord[]> {
  const { where, parameters } = condition(accountId, filter);
  const position = filter.cursor === undefined ? undefined : await placeOf(database, filter.cursor);
  const found = await database.rows(
    `SELECT ${asRead(RECORD_COLUMNS, database.text)} FROM usage_records
      WHERE ${where} ${position ? 'AND (started_at, usage_records.id) > (?, ?)' : ''}
      ORDER BY started_at, usage_records.id LIMIT ?`,
    [...parameters, ...(position ?? []), filter.limit + 1],
  );
  return found.map(toRecord);
}

/** Start and id of a record. For one that was deleted meanwhile, the time in its id (RFC 9562 section 5.7). */
async function placeOf(database: UsageDatabase, id: string): Promise<readonly [number, string]> {
  const [row] = await database.rows('SELECT started_at FROM usage_records WHERE id = ?', [id]);
  return [row ? Number(row['started_at']) : Number.parseInt(id.replace('-', '').slice(0, 12), 16), id];
}

async function totals(
  database: UsageDatabase,
  accountId: string,
  filter: UsageFilter,
  now: number,
): Promise<readonly UsageTotal[]> {
  const { where, parameters } = condition(accountId, filter);
  const found = await database.rows(
    `SELECT ${database.text('tag', 'coalesce(session_tag, participant_tag)')}, count(DISTINCT connection_id) AS connections,
       sum(${database.words.greatest}(0, coalesce(ended_at, ?) - started_at)) AS ms
     FROM usage_records WHERE ${where} GROUP BY 1 ORDER BY ms DESC LIMIT ${MAX_TOTALS}`,
    [now, ...parameters],
  );
  return found.map(toTotal);
}

/**
 * Connections with their records, the newest first. A connection that has moved to another session has several records:
 * it has its place by the first of them.
 */
async function connections(
  database: UsageDatabase,
  accountId: string,
  { before, id, state, ...filter }: ConnectionQuery,
): Promise<readonly (readonly WrittenRecord[])[]> {
  const { sessionId, kind, caller, limit, ...common } = filter;
  const { position } = database.words;
  const { where, parameters } = condition(accountId, common);
  const ofConnection = 'FROM usage_records r WHERE r.connection_id = usage_records.connection_id';
  const terms: [string, ...SqlValue[]][] = [
    [
      `NOT EXISTS (SELECT 1 ${ofConnection} AND (r.started_at, r.id) < (usage_records.started_at, usage_records.id))`,
    ],
  ];
  if (kind !== undefined) terms.push(['kind = ?', kind]);
  if (caller !== undefined)
    terms.push([`(${position}(caller, ?) > 0 OR ${position}(caller_name, ?) > 0)`, caller, caller]);
  if (id !== undefined) terms.push(['(connection_id = ? OR device_id = ?)', id, id]);
  if (sessionId !== undefined)
    terms.push([`EXISTS (SELECT 1 ${ofConnection} AND r.session_id = ?)`, sessionId]);
  if (state !== undefined) {
    terms.push([`${state === 'live' ? '' : 'NOT '}EXISTS (SELECT 1 ${ofConnection} AND r.ended_at IS NULL)`]);
  }
  if (before)
    terms.push(['(started_at, usage_records.connection_id) < (?, ?)', before.at, before.connectionId]);
  const found = await database.rows(
    `SELECT ${database.text('connection_id')} FROM usage_records
      WHERE ${[where, ...terms.map(([sql]) => sql)].join(' AND ')}
      ORDER BY started_at DESC, usage_records.connection_id DESC LIMIT ?`,
    [...parameters, ...terms.flatMap(([, ...values]) => values), limit],
  );
  const ids = found.map((row) => String(row['connection_id']));
  if (ids.length === 0) return [];
  const byConnection = new Map(ids.map((connection): [string, WrittenRecord[]] => [connection, []]));
  const records = await database.rows(
    `SELECT ${asRead(RECORD_COLUMNS, database.text)} FROM usage_records
      WHERE connection_id IN (${ids.map(() => '?').join(', ')}) AND account_id = ?
      ORDER BY started_at, usage_records.id`,
    [...ids, accountId],
  );
  for (const record of records.map(toRecord)) byConnection.get(record.connectionId)?.push(record);
  return [...byConnection.values()];
}

function condition(
  accountId: string,
  { from, to, tag, participantId, deviceId }: UsageFilter,
): { readonly where: string; readonly parameters: readonly SqlValue[] } {
  const terms: [string, ...SqlValue[]][] = [['account_id = ?', accountId]];
  if (from !== undefined) terms.push(['started_at >= ?', from]);
  if (to !== undefined) terms.push(['started_at < ?', to]);
  if (tag !== undefined) terms.push(['(session_tag = ? OR participant_tag = ?)', tag, tag]);
  if (participantId !== undefined) terms.push(['participant_id = ?', participantId]);
  if (deviceId !== undefined) terms.push(['device_id = ?', deviceId]);
  return {
    where: terms.map(([sql]) => sql).join(' AND '),
    parameters: terms.flatMap(([, ...values]) => values),
  };
}

/** Trusts the row: only the gateway writes this table, by `UsageTables`. */
export function toRecord(row: Row): WrittenRecord {
  const entries = Object.entries(row)
    .filter(([column, value]) => !NO_PROPERTIES.has(column) && value !== null)
    .map(([column, value]) => [column.replace(/_(.)/g, (_, letter: string) => letter.toUpperCase()), value]);
  return {
    ...Object.fromEntries(entries),
    ...formatIn(row, 'received'),
    ...formatIn(row, 'sent'),
    ...qualityIn(row),
    ...(Number(row['test']) === 1 && { test: true }),
  } as WrittenRecord;
}

function formatIn(row: Row, direction: 'received' | 'sent'): MediaFormats {
  const [codecs, encryption] = [row[`${direction}_codecs`], row[`${direction}_encryption`]];
  if (typeof codecs !== 'string') return {};
  return { [direction]: { codecs: codecs.split(' '), encryption: String(encryption) } };
}

/** None for a damaged one: it is no reason to withhold the record. */
function qualityIn({ quality }: Row): Pick<WrittenRecord, 'quality'> {
  if (typeof quality !== 'string') return {};
  try {
    return { quality: JSON.parse(quality) as DeviceQuality };
  } catch {
    return {};
  }
}

function toTotal(row: Row): UsageTotal {
  return {
    ...(row['tag'] === null ? {} : { tag: String(row['tag']) }),
    connections: Number(row['connections']),
    seconds: Number(row['ms']) / 1_000,
  };
}
