import type { FoundRecords, KeptRecord, UsageStore } from '../usage-store.js';
import type { Webhook } from '../webhooks/webhook.js';

/** A usage store that lasts as long as the test; it finds all records of the account, whatever the filter. */
export class MemoryUsageStore implements UsageStore {
  readonly records = new Map<string, KeptRecord>();
  readonly #webhooks = new Map<string, Webhook>();

  openRecords(): readonly KeptRecord[] {
    return [...this.records.values()].filter((record) => record.endedAt === undefined);
  }

  saveRecord(record: KeptRecord): void {
    this.records.set(record.id, record);
  }

  heartbeat(seenAt: number): void {
    for (const record of this.openRecords()) this.records.set(record.id, { ...record, seenAt });
  }

  deleteRecordsBefore(at: number): void {
    for (const { id, endedAt } of this.records.values()) {
      if (endedAt !== undefined && endedAt < at) this.records.delete(id);
    }
  }

  find(accountId: string): Promise<FoundRecords> {
    const records = [...this.records.values()].filter((record) => record.accountId === accountId);
    return Promise.resolve({ records, totals: [] });
  }

  findConnections(accountId: string): Promise<readonly (readonly KeptRecord[])[]> {
    const records = [...this.records.values()].filter((record) => record.accountId === accountId);
    return Promise.resolve(records.map((record) => [record]));
  }

  webhooks(): readonly Webhook[] {
    return [...this.#webhooks.values()];
  }

  saveWebhook(webhook: Webhook): void {
    this.#webhooks.set(webhook.id, webhook);
  }

  deleteWebhook(id: string): void {
    this.#webhooks.delete(id);
  }

  flush(): Promise<void> {
    return Promise.resolve();
  }
}
