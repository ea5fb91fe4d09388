import type { UsageFilter, UsageRecord, UsageTotal } from './records.js';
import type { Webhook } from './webhooks/webhook.js';

/** A record as it is written down. */
export type WrittenRecord = Omit<UsageRecord, 'seconds'>;

/** A record with what is needed to close it after a crash. */
export interface KeptRecord extends WrittenRecord {
  /** Epoch milliseconds at which the connection was known to be there last. */
  readonly seenAt: number;
  readonly callbackUrl?: string;
}

/** A page of a query, for {@link UsageStore.find}. */
export interface FoundRecords {
  /** At most one more than the limit, which tells that there is another page. */
  readonly records: readonly WrittenRecord[];
  readonly totals: readonly UsageTotal[];
}

/**
 * Where usage is kept. Saving and deleting return at once and never throw; {@link flush} tells when it is on
 * disk.
 */
export interface UsageStore {
  /** Records without an end that were found at the start. */
  openRecords(): readonly KeptRecord[];
  /** Keeps a record, in place of the one with its id. */
  saveRecord(record: KeptRecord): void;
  /** Notes that all open records are still going on. */
  heartbeat(at: number): void;
  /** Deletes records that ended before then; of many, some at once and the rest in slices later. */
  deleteRecordsBefore(at: number): void;
  /**
   * Reads where it holds up nothing else.
   * @param now the end that records still open are counted to
   * @throws PatchbayError TOO_MANY_REQUESTS when the account has too many reads waiting, OVERLOADED when it failed
   */
  find(
    accountId: string,
    filter: UsageFilter & { readonly limit: number },
    now: number,
  ): Promise<FoundRecords>;

  /** Webhooks not delivered yet that were found at the start, oldest first. */
  webhooks(): readonly Webhook[];
  saveWebhook(webhook: Webhook): void;
  deleteWebhook(id: string): void;

  flush(): Promise<void>;
}
