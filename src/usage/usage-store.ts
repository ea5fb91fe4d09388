import type { ConnectionQuery } from './connections.js';
import type { UsageFilter, UsageRecord, UsageTotal } from './records.js';
import type { Webhook } from './webhooks/webhook.js';

/** A record as it is stored. */
export type WrittenRecord = Omit<UsageRecord, 'seconds'>;

/** A record with what is needed to close it after a crash. */
export interface KeptRecord extends WrittenRecord {
  /** Epoch milliseconds of the last heartbeat of the connection. */
  readonly seenAt: number;
  readonly callbackUrl?: string;
}

/** A page of a query, for {@link UsageStore.find}. */
export interface FoundRecords {
  /** At most one more than the limit; that one shows that there is another page. */
  readonly records: readonly WrittenRecord[];
  readonly totals: readonly UsageTotal[];
}

/**
 * Where usage records and webhooks are kept. Saving and deleting return at once and never throw; {@link flush} resolves
 * when they are on disk.
 */
export interface UsageStore {
  /** Records without an end that were found at the start. */
  openRecords(): readonly KeptRecord[];
  /** Adds a record, or replaces the one with the same id. */
  saveRecord(record: KeptRecord): void;
  /** Sets `seenAt` of all open records. */
  heartbeat(at: number): void;
  /** Deletes records that ended before then: some at once, and the rest, if there are many, in slices later. */
  deleteRecordsBefore(at: number): void;
  /**
   * Reads a page of records; off this thread, since it may take seconds.
   * @param now until when open records are counted
   * @throws PatchbayError TOO_MANY_REQUESTS when the account has too many reads waiting, OVERLOADED when it failed
   */
  find(
    accountId: string,
    filter: UsageFilter & { readonly limit: number },
    now: number,
  ): Promise<FoundRecords>;

  /**
   * Reads connections, the newest first, each with its records in the order of their start; off this thread.
   * @throws PatchbayError as {@link find} does
   */
  findConnections(accountId: string, query: ConnectionQuery): Promise<readonly (readonly WrittenRecord[])[]>;

  /** Undelivered webhooks that were found at the start, oldest first. */
  webhooks(): readonly Webhook[];
  saveWebhook(webhook: Webhook): void;
  deleteWebhook(id: string): void;

  flush(): Promise<void>;
}
