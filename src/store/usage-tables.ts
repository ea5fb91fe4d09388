import { setTimeout as setTimeoutPromise } from 'node:timers/promises';
import type {
  ConnectionQuery,
  FoundRecords,
  KeptRecord,
  UsageFilter,
  UsageStore,
  Webhook,
  WrittenRecord,
} from '../usage/index.js';
import type { Log } from '../shared/index.js';
import { bytesOf, type Database, parsed, readable, rows, type SqlValue } from './database.js';
import { asRead, RECORD_COLUMNS, toRecord } from './usage-reader/queries.js';
import type { UsageReader } from './usage-reader/usage-reader.js';
import type { WriteQueue } from './write-queue.js';

const KEPT_COLUMNS = [...RECORD_COLUMNS, 'seen_at', 'callback_url'];

const SAVE_RECORD = `INSERT OR REPLACE INTO usage_records (${KEPT_COLUMNS.join(', ')})
  SELECT ${KEPT_COLUMNS.map((column) => `value->>'${column}'`).join(', ')} FROM rows`;
const HEARTBEAT = `UPDATE usage_records SET seen_at = max(seen_at, (SELECT value->>'at' FROM rows))
  WHERE ended_at IS NULL`;
/** Records in one deletion, so that other writes wait for a slice and not for a year's records. */
const DELETED_AT_ONCE = 500;
const DELETE_RECORDS = `DELETE FROM usage_records WHERE id IN (SELECT id FROM usage_records
  WHERE ended_at < (SELECT value->>'before' FROM rows) ORDER BY ended_at LIMIT ${DELETED_AT_ONCE})`;
/** Time from the first slice until the remaining ones are counted: the gateway's start has more urgent work. */
const COUNT_AFTER_MS = 60_000;
const BETWEEN_SLICES_MS = 50;
const SAVE_WEBHOOK = "INSERT OR REPLACE INTO webhooks SELECT value->>'id', value FROM rows";
const DELETE_WEBHOOK = "DELETE FROM webhooks WHERE id IN (SELECT value->>'id' FROM rows)";

/** What {@link UsageTables} returns at the start. */
interface UsageLeftovers {
  readonly openRecords: readonly KeptRecord[];
  readonly webhooks: readonly Webhook[];
}

export async function loadUsage(database: Database, log: Log): Promise<UsageLeftovers> {
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

/** Usage records, in columns for queries, and undelivered webhooks. */
export class UsageTables implements UsageStore {
  readonly #leftovers: UsageLeftovers;
  readonly #reader: UsageReader;
  readonly #queue: WriteQueue;
  readonly #countAfterMs: number;
  #deleting: NodeJS.Timeout | undefined;

  /** @param countAfterMs time from a deletion's first slice to the next ones; default a minute */
  constructor(
    leftovers: UsageLeftovers,
    reader: UsageReader,
    queue: WriteQueue,
    countAfterMs = COUNT_AFTER_MS,
  ) {
    this.#leftovers = leftovers;
    this.#reader = reader;
    this.#queue = queue;
    this.#countAfterMs = countAfterMs;
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
    clearTimeout(this.#deleting);
    this.#deleting = setTimeout(() => {
      // Already logged where it failed; the next deletion tries again.
      this.#deleteRest(before).catch(() => undefined);
    }, this.#countAfterMs).unref();
  }

  async #deleteRest(before: number): Promise<void> {
    const [count = 0] = await this.#reader.read('', { kind: 'expired', before });
    for (let left = count; left > 0; left -= DELETED_AT_ONCE) {
      this.#queue.put('usage retention', DELETE_RECORDS, { before });
      await this.#queue.flush();
      await setTimeoutPromise(BETWEEN_SLICES_MS, undefined, { ref: false });
    }
  }

  async find(
    accountId: string,
    { totals: wanted = true, ...filter }: UsageFilter & { readonly limit: number },
    now: number,
  ): Promise<FoundRecords> {
    await this.#queue.flush();
    const records = await this.#reader.read(accountId, { kind: 'records', accountId, filter });
    if (!wanted) return { records, totals: [] };
    return {
      records,
      totals: await this.#reader.read(accountId, { kind: 'totals', accountId, filter, now }),
    };
  }

  async findConnections(
    accountId: string,
    query: ConnectionQuery,
  ): Promise<readonly (readonly WrittenRecord[])[]> {
    await this.#queue.flush();
    return this.#reader.read(accountId, { kind: 'connections', accountId, query });
  }

  /** Ends a deletion after its present slice. */
  stop(): void {
    clearTimeout(this.#deleting);
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

/** Absent properties become NULL. */
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
    received_codecs: record.received?.codecs.join(' '),
    received_encryption: record.received?.encryption,
    sent_codecs: record.sent?.codecs.join(' '),
    sent_encryption: record.sent?.encryption,
    quality: record.quality && JSON.stringify(record.quality),
    test: record.test ? 1 : undefined,
    seen_at: record.seenAt,
    // Needed only for the events after a crash, and may hold secrets: not kept past the end.
    callback_url: record.endedAt === undefined ? record.callbackUrl : undefined,
  };
}
