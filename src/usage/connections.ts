import type { UsageRecord } from './records.js';
import type { UsageStore, WrittenRecord } from './usage-store.js';

/** Which connections of devices to find. */
export interface ConnectionFilter {
  /** Epoch milliseconds: those that began then or later. */
  readonly from?: number;
  /** Epoch milliseconds: those that began before then. */
  readonly to?: number;
  /** Of their first session or participant. */
  readonly tag?: string;
  readonly participantId?: string;
  /** A session that they were in at any time. */
  readonly sessionId?: string;
  readonly kind?: string;
  /** Part of the caller's number or name. */
  readonly caller?: string;
  readonly state?: 'live' | 'ended';
  /** The gateway's id of the connection, or the device's own. */
  readonly id?: string;
}

/** A page of them, for {@link UsageStore.findConnections}. */
export interface ConnectionQuery extends ConnectionFilter {
  readonly limit: number;
  /** Those after this one in the list. */
  readonly before?: { readonly at: number; readonly connectionId: string };
}

/**
 * One connection of a device, from its start to its end, whatever sessions its participant was in meanwhile: its last
 * record, with start and length of all.
 */
export interface UsageConnection extends UsageRecord {
  /** The sessions that it was in, in their order. */
  readonly sessions: readonly {
    readonly sessionId: string;
    readonly sessionTag?: string;
    /** Epoch milliseconds. */
    readonly startedAt: number;
    readonly endedAt?: number;
  }[];
}

/** Finds connections of an account. */
export class Connections {
  readonly #store: UsageStore;
  readonly #lengthOf: (open: WrittenRecord) => number | undefined;
  readonly #now: () => number;

  /** @param lengthOf of an open record so far, in ms */
  constructor(store: UsageStore, lengthOf: (open: WrittenRecord) => number | undefined, now: () => number) {
    this.#store = store;
    this.#lengthOf = lengthOf;
    this.#now = now;
  }

  /** The newest first. @throws PatchbayError TOO_MANY_REQUESTS, OVERLOADED */
  async find(accountId: string, query: ConnectionQuery): Promise<readonly UsageConnection[]> {
    const found = await this.#store.findConnections(accountId, query);
    return found.flatMap((records) => this.#connectionOf(records) ?? []);
  }

  /** Undefined for one whose records were deleted meanwhile. */
  #connectionOf(records: readonly WrittenRecord[]): UsageConnection | undefined {
    const [first, last] = [records[0], records.at(-1)];
    if (!first || !last) return undefined;
    const ms = records.reduce((sum, record) => sum + this.#lengthInMs(record), 0);
    return {
      ...last,
      startedAt: first.startedAt,
      seconds: Math.round(ms) / 1_000,
      sessions: records.flatMap(({ sessionId, sessionTag, startedAt, endedAt }) =>
        sessionId === undefined
          ? []
          : [
              {
                sessionId,
                ...(sessionTag !== undefined && { sessionTag }),
                startedAt,
                ...(endedAt !== undefined && { endedAt }),
              },
            ],
      ),
    };
  }

  #lengthInMs(record: WrittenRecord): number {
    const open = record.endedAt === undefined ? this.#lengthOf(record) : undefined;
    return open ?? Math.max(0, (record.endedAt ?? this.#now()) - record.startedAt);
  }
}
