import type {
  FoundRecords,
  KeptRecord,
  UsageFilter,
  UsageStore,
  UsageTotal,
  Webhook,
  WrittenRecord,
} from '../usage/index.js';
import { bytesOf, type Database, parsed, readable, type Row, rows, type SqlValue } from './database.js';
import type { StoreLog } from './store.js';
import type { WriteQueue } from './write-queue.js';

const COLUMNS = [
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
];
const NUMBERS = ['started_at', 'ended_at', 'seen_at'];
const KEPT_COLUMNS = [...COLUMNS, 'seen_at', 'callback_url'];

const SAVE_RECORD = `INSERT OR REPLACE INTO usage_records (${KEPT_COLUMNS.join(', ')})
  SELECT ${KEPT_COLUMNS.map((column) => `value->>'${column}'`).join(', ')} FROM rows`;
const HEARTBEAT = `UPDATE usage_records SET seen_at = (SELECT value->>'at' FROM rows) WHERE ended_at IS NULL`;
const DELETE_RECORDS = `DELETE FROM usage_records WHERE ended_at < (SELECT value->>'before' FROM rows)`;
const SAVE_WEBHOOK = "INSERT OR REPLACE INTO webhooks SELECT value->>'id', value FROM rows";
const DELETE_WEBHOOK = "DELETE FROM webhooks WHERE id IN (SELECT value->>'id' FROM rows)";
const MAX_TOTALS = 1_000;

/** What {@link UsageTables} is to give at the start. */
export interface UsageLeftovers {
  readonly openRecords: readonly KeptRecord[];
  readonly webhooks: readonly Webhook[];
}

export async function loadUsage(database: Database, log: StoreLog): Promise<UsageLeftovers> {
  const open = await rows(
    database,
    `SELECT ${KEPT_COLUMNS.map(asRead).join(', ')} FROM usage_records WHERE ended_at IS NULL ORDER BY usage_records.id`,
  );
  const webhooks = await rows(
    database,
    `SELECT ${bytesOf('id')}, ${bytesOf('document')} FROM webhooks ORDER BY webhooks.id`,
  );
  return {
    openRecords: open.map((row) => toRecord(row) as KeptRecord),
    webhooks: readable('webhooks', webhooks, (row) => parsed(row['document']) as Webhook, log),
  };
}

/** Whole numbers as they are, text as bytes. */
function asRead(column: string): string {
  return NUMBERS.includes(column) ? column : bytesOf(column);
}

/** Usage records, queried in the database, and webhooks on their way. */
export class UsageTables implements UsageStore {
  readonly #leftovers: UsageLeftovers;
  readonly #reader: Database;
  readonly #queue: WriteQueue;

  /** @param reader a connection of its own, so that a long query holds up no write */
  constructor(leftovers: UsageLeftovers, reader: Database, queue: WriteQueue) {
    this.#leftovers = leftovers;
    this.#reader = reader;
    this.#queue = queue;
  }

  openRecords(): readonly KeptRecord[] {
    return this.#leftovers.openRecords;
  }

  saveRecord(record: KeptRecord): void {
    this.#queue.put(`usage ${record.id}`, SAVE_RECORD, toColumns(record));
  }

  heartbeat(at: number): void {
    this.#queue.put('usage heartbeat', HEARTBEAT, { at });
  }

  deleteRecordsBefore(before: number): void {
    this.#queue.put('usage retention', DELETE_RECORDS, { before });
  }

  async find(
    accountId: string,
    filter: UsageFilter & { readonly limit: number },
    now: number,
  ): Promise<FoundRecords> {
    await this.#queue.flush();
    const { where, parameters } = condition(accountId, filter);
    const found = await rows(
      this.#reader,
      `SELECT ${COLUMNS.map(asRead).join(', ')} FROM usage_records
       WHERE ${where} AND usage_records.id > ? ORDER BY usage_records.id LIMIT ?`,
      [...parameters, filter.cursor ?? '', filter.limit + 1],
    );
    const totals = await rows(
      this.#reader,
      `SELECT ${bytesOf('tag', 'coalesce(session_tag, participant_tag)')}, count(DISTINCT connection_id) AS connections,
         sum(max(0, coalesce(ended_at, ?) - started_at)) AS ms
       FROM usage_records WHERE ${where} GROUP BY 1 ORDER BY ms DESC LIMIT ${MAX_TOTALS}`,
      [now, ...parameters],
    );
    return { records: found.map(toRecord), totals: totals.map(toTotal) };
  }

  webhooks(): readonly Webhook[] {
    return this.#leftovers.webhooks;
  }

  saveWebhook(webhook: Webhook): void {
    this.#queue.put(`webhook ${webhook.id}`, SAVE_WEBHOOK, webhook);
  }

  deleteWebhook(id: string): void {
    this.#queue.put(`webhook ${id}`, DELETE_WEBHOOK, { id });
  }

  flush(): Promise<void> {
    return this.#queue.flush();
  }
}

function condition(
  accountId: string,
  { from, to, tag }: UsageFilter,
): { readonly where: string; readonly parameters: readonly SqlValue[] } {
  const terms: [string, ...SqlValue[]][] = [['account_id = ?', accountId]];
  if (from !== undefined) terms.push(['started_at >= ?', from]);
  if (to !== undefined) terms.push(['started_at < ?', to]);
  if (tag !== undefined) terms.push(['(session_tag = ? OR participant_tag = ?)', tag, tag]);
  return {
    where: terms.map(([sql]) => sql).join(' AND '),
    parameters: terms.flatMap(([, ...values]) => values),
  };
}

/** What a record lacks becomes NULL. */
function toColumns(record: KeptRecord): Record<string, SqlValue | undefined> {
  return {
    id: record.id,
    connection_id: record.connectionId,
    account_id: record.accountId,
    session_id: record.sessionId,
    session_tag: record.sessionTag,
    participant_id: record.participantId,
    participant_tag: record.participantTag,
    kind: record.kind,
    direction: record.direction,
    device_id: record.deviceId,
    caller: record.caller,
    caller_name: record.callerName,
    called: record.called,
    started_at: record.startedAt,
    ended_at: record.endedAt,
    end_reason: record.endReason,
    seen_at: record.seenAt,
    // Needed to tell of a crash only, and may hold secrets: not kept past the end.
    callback_url: record.endedAt === undefined ? record.callbackUrl : undefined,
  };
}

/** The gateway alone writes these rows, so what is in them is what {@link toColumns} was given. */
function toRecord(row: Row): WrittenRecord {
  const entries = Object.entries(row)
    .filter(([column, value]) => KEPT_COLUMNS.includes(column) && value !== null)
    .map(([column, value]) => [column.replace(/_(.)/g, (_, letter: string) => letter.toUpperCase()), value]);
  return Object.fromEntries(entries) as WrittenRecord;
}

function toTotal(row: Row): UsageTotal {
  return {
    ...(row['tag'] === null ? {} : { tag: String(row['tag']) }),
    connections: Number(row['connections']),
    seconds: Number(row['ms']) / 1_000,
  };
}
