import { validate as isUuid } from 'uuid';
import { type Core, type FailedCall, pageLimit, PatchbayError } from '../core/index.js';
import type { Clock } from '../shared/index.js';
import type { UsageFilter, UsageRecord, UsageReport, UsageTotal } from './records.js';
import type { FoundRecords, UsageStore, WrittenRecord } from './usage-store.js';

/** How long the totals of a report are kept for its further pages, and of how many reports of each account. */
const KNOWN_MS = 600_000;
const KNOWN_PER_ACCOUNT = 4;

interface KnownTotals {
  readonly totals: Promise<readonly UsageTotal[]>;
  readonly inTheMaking: boolean;
  readonly until: number;
}

const NO_TOTALS: Promise<readonly UsageTotal[]> = Promise.resolve([]);

/** Reports accounts' usage. Totals are computed with the first page of a report and kept for its further pages. */
export class Reports {
  readonly #store: UsageStore;
  readonly #clock: Clock;
  readonly #lengthOf: (open: WrittenRecord) => number | undefined;
  /** By account, then by the report's filter. */
  readonly #known = new Map<string, Map<string, KnownTotals>>();

  constructor(parts: {
    store: UsageStore;
    clock: Clock;
    lengthOf: (open: WrittenRecord) => number | undefined;
  }) {
    this.#store = parts.store;
    this.#clock = parts.clock;
    this.#lengthOf = parts.lengthOf;
  }

  /**
   * One page; open connections are counted until now.
   * @throws PatchbayError BAD_REQUEST when the limit or the cursor is not valid, TOO_MANY_REQUESTS, OVERLOADED
   */
  async query(accountId: string, filter: UsageFilter): Promise<UsageReport> {
    const { cursor, totals: wanted = true } = filter;
    const limit = pageLimit(filter.limit);
    if (cursor !== undefined && !isUuid(cursor)) {
      throw new PatchbayError('PATCHBAY_BAD_REQUEST', 'cursor must be the next of the previous page.');
    }
    const now = this.#clock.now();
    const query = { ...filter, limit };
    let records: readonly WrittenRecord[];
    let totals: readonly UsageTotal[] = [];
    const known = wanted ? this.#get(accountId, filter) : NO_TOTALS;
    if (known) {
      ({ records } = await this.#store.find(accountId, { ...query, totals: false }, now));
      totals = await known;
    } else {
      const finding = this.#store.find(accountId, { ...query, totals: true }, now);
      this.#keep(accountId, filter, finding);
      ({ records, totals } = await finding);
    }
    const items = records.slice(0, limit).map((record) => this.#shown(record, now));
    const last = items.at(-1);
    return {
      items,
      ...(records.length > limit && last ? { next: last.id } : {}),
      totals,
    };
  }

  #shown(record: WrittenRecord, now: number): UsageRecord {
    const open = record.endedAt === undefined ? this.#lengthOf(record) : undefined;
    const ms = open ?? Math.max(0, (record.endedAt ?? now) - record.startedAt);
    return { ...record, seconds: Math.round(ms) / 1_000 };
  }

  /** Totals that are kept for a further page, or being computed for the same first page. */
  #get(accountId: string, filter: UsageFilter): Promise<readonly UsageTotal[]> | undefined {
    const known = this.#known.get(accountId)?.get(keyOf(filter));
    if (!known || known.until <= this.#clock.monotonic()) return undefined;
    return filter.cursor !== undefined || known.inTheMaking ? known.totals : undefined;
  }

  #keep(accountId: string, filter: UsageFilter, finding: Promise<FoundRecords>): void {
    const now = this.#clock.monotonic();
    for (const [id, reports] of this.#known) {
      for (const [key, { until }] of reports) if (until <= now) reports.delete(key);
      if (reports.size === 0) this.#known.delete(id);
    }
    const reports = this.#known.get(accountId) ?? new Map<string, KnownTotals>();
    this.#known.set(accountId, reports);
    const key = keyOf(filter);
    const totals = finding.then((found) => found.totals);
    const known = { totals, inTheMaking: true, until: now + KNOWN_MS };
    reports.delete(key);
    reports.set(key, known);
    const oldest = reports.keys().next();
    if (reports.size > KNOWN_PER_ACCOUNT && !oldest.done) reports.delete(oldest.value);
    totals.then(
      () => (known.inTheMaking = false),
      () => {
        if (reports.get(key) === known) reports.delete(key);
      },
    );
  }
}

function keyOf({ from, to, tag }: UsageFilter): string {
  return JSON.stringify([from, to, tag]);
}

/** A refused call as an account sees it. */
export interface ListedFailure extends FailedCall {
  /** Epoch milliseconds. */
  readonly at: number;
  readonly participantId: string;
  readonly participantTag?: string | undefined;
}

/** Calls kept for each account; the oldest is dropped first. */
const KEPT = 500;

/** The last refused calls of each account. Kept in memory only, since they help to find faults but are not billed. */
export class FailedCalls {
  readonly #byAccount = new Map<string, ListedFailure[]>();

  constructor(core: Pick<Core, 'on'>) {
    core.on('callFailed', ({ at, participant, call }) => {
      const { accountId, id: participantId, tag: participantTag } = participant;
      const list = this.#byAccount.get(accountId) ?? [];
      this.#byAccount.set(accountId, list);
      list.push({ ...call, at, participantId, participantTag });
      if (list.length > KEPT) list.shift();
    });
  }

  /** An account's refused calls, the newest first. */
  of(accountId: string): readonly ListedFailure[] {
    return this.#byAccount.get(accountId)?.toReversed() ?? [];
  }
}
