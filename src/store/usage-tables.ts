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
import type { FoundState } from './engine.js';
import type { SqlValue } from './rows.js';
import type { UsageReader } from './usage-queries.js';
import type { WriteQueue } from './write-queue.js';
import { DELETED_AT_ONCE } from './writes.js';

/** Time from the first slice until the remaining ones are counted: the gateway's start has more urgent work. */
const COUNT_AFTER_MS = 60_000;
const BETWEEN_SLICES_MS = 50;
/** What {@link UsageTables} returns at the start. */
type UsageLeftovers = Pick<FoundState, 'openRecords' | 'webhooks'>;

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
    this.#queue.put(`usage ${record.id}`, 'saveRecord', toColumns(record));
  }

  heartbeat(at: number): void {
    this.#queue.put('usage heartbeat', 'heartbeat', { at });
  }

  deleteRecordsBefore(before: number): void {
    this.#queue.put('usage retention', 'deleteRecords', { before });
    clearTimeout(this.#deleting);
    this.#deleting = setTimeout(() => {
      // Already logged where it failed; the next deletion tries again.
      this.#deleteRest(before).catch(() => undefined);
    }, this.#countAfterMs).unref();
  }

  async #deleteRest(before: number): Promise<void> {
    const [count = 0] = await this.#reader.read('', { kind: 'expired', before });
    for (let left = count; left > 0; left -= DELETED_AT_ONCE) {
      this.#queue.put('usage retention', 'deleteRecords', { before });
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
    this.#queue.put(`webhook ${webhook.id}`, 'saveWebhook', webhook);
  }

  deleteWebhook(id: string): void {
    this.#queue.put(`webhook ${id}`, 'deleteWebhook', { id });
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
