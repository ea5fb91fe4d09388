import { validate as isUuid } from 'uuid';
import { PatchbayError } from '../core/index.js';
import type { UsageFilter, UsageRecord, UsageReport } from './records.js';
import type { UsageStore, WrittenRecord } from './usage-store.js';

const DEFAULT_PAGE = 100;
const MAX_PAGE = 1_000;

/**
 * Reports an account's usage.
 * @param now the end that connections still open are counted to
 * @throws PatchbayError BAD_REQUEST when the limit or the cursor is not acceptable
 */
export async function report(
  store: UsageStore,
  accountId: string,
  filter: UsageFilter,
  now: number,
): Promise<UsageReport> {
  const { limit = DEFAULT_PAGE, cursor } = filter;
  if (!Number.isInteger(limit) || limit < 1 || limit > MAX_PAGE) {
    throw new PatchbayError('PATCHBAY_BAD_REQUEST', `limit must be a whole number from 1 to ${MAX_PAGE}.`);
  }
  if (cursor !== undefined && !isUuid(cursor)) {
    throw new PatchbayError('PATCHBAY_BAD_REQUEST', 'cursor must be the next of the page before.');
  }
  const { records, totals } = await store.find(accountId, { ...filter, limit }, now);
  const items = records.slice(0, limit).map((record) => shown(record, now));
  const last = items.at(-1);
  return { items, ...(records.length > limit && last ? { next: last.id } : {}), totals };
}

function shown(record: WrittenRecord, now: number): UsageRecord {
  return { ...record, seconds: Math.max(0, (record.endedAt ?? now) - record.startedAt) / 1_000 };
}
