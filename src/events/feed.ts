import { randomBytes } from 'node:crypto';
import type { Clock, Timer } from '../shared/index.js';

/** What happened, as readers of the account's events get it. */
export interface AccountEvent {
  readonly type: string;
  /** Epoch milliseconds. */
  readonly at: number;
  /** What it is about, for filters. */
  readonly sessionId?: string | undefined;
  /** Of the session or the participant that it is about. */
  readonly tags: readonly string[];
  /** Plain data. */
  readonly data: object;
}

/** An event as it is sent and kept. */
export interface StoredEvent {
  readonly id: string;
  readonly type: string;
  /** JSON. */
  readonly text: string;
}

/** Which events a reader wants. */
export interface EventFilter {
  readonly sessionId?: string | undefined;
  /** Of session or participant. */
  readonly tag?: string | undefined;
}

interface Reader {
  readonly filter: EventFilter;
  /** Id of the last event that it has; absent: it has none. */
  readonly lastEventId?: string | undefined;
  send(event: StoredEvent): void;
  /**
   * Sends what is out of date a moment later, unless the reader has not read what was sent before.
   * @returns whether it was sent
   */
  offer(event: StoredEvent): boolean;
}

/** Begins to watch a session. @returns what ends that */
type Watch = (accountId: string, sessionId: string) => () => void;

/** Events of an account that are kept for readers that come back. */
const KEPT_BYTES = 256 * 1024;
/** So long after the last reader of an account has gone, its events are still kept. */
const RESUME_MS = 5 * 60_000;
/** What an event takes beside its text. */
const EVENT_BYTES = 200;

interface Kept {
  readonly number: number;
  readonly event: AccountEvent;
  readonly stored: StoredEvent;
}

/** The events of one account, while somebody reads them, or has a moment ago. */
class AccountFeed {
  readonly readers = new Set<Reader>();
  readonly #epoch: string;
  readonly #kept: Kept[] = [];
  /** Bytes of those that are kept. */
  bytes = 0;
  /** Number of the newest event. */
  #newest = 0;
  forgets: Timer | undefined;

  constructor(epoch: string) {
    this.#epoch = epoch;
  }

  /** Id of the newest event, from which a reader may go on. */
  get newestId(): string {
    return `${this.#epoch}-${this.#newest}`;
  }

  add(event: AccountEvent): void {
    this.#newest += 1;
    const { type, at, data } = event;
    const text = JSON.stringify({ at: new Date(at).toISOString(), ...data });
    const stored = { id: this.newestId, type, text };
    this.#kept.push({ number: this.#newest, event, stored });
    this.bytes += text.length + EVENT_BYTES;
    while (this.bytes > KEPT_BYTES) this.bytes -= this.#kept.shift()!.stored.text.length + EVENT_BYTES;
    // A copy, since a reader that is slow leaves.
    for (const reader of [...this.readers]) if (isWanted(event, reader.filter)) reader.send(stored);
  }

  /** Sends an event that is not kept to those who watch its session. @returns how many were not sent it */
  offer({ type, at, data, sessionId, tags }: AccountEvent): number {
    const text = JSON.stringify({ at: new Date(at).toISOString(), ...data });
    const event = { id: this.newestId, type, text };
    let dropped = 0;
    for (const reader of this.readers) {
      const isWatching =
        reader.filter.sessionId === sessionId && isWanted({ sessionId, tags }, reader.filter);
      if (isWatching && !reader.offer(event)) dropped += 1;
    }
    return dropped;
  }

  /** Those after an event; undefined when some are not kept any more. */
  since(id: string, filter: EventFilter): StoredEvent[] | undefined {
    const [epoch, number] = id.split('-');
    const last = Number(number);
    const oldest = this.#kept[0]?.number ?? this.#newest + 1;
    if (epoch !== this.#epoch || !Number.isInteger(last) || last > this.#newest || last + 1 < oldest)
      return undefined;
    return this.#kept.flatMap(({ number: n, event, stored }) =>
      n > last && isWanted(event, filter) ? [stored] : [],
    );
  }
}

function isWanted(
  { sessionId, tags }: Pick<AccountEvent, 'sessionId' | 'tags'>,
  filter: EventFilter,
): boolean {
  if (filter.sessionId !== undefined && filter.sessionId !== sessionId) return false;
  return filter.tag === undefined || tags.includes(filter.tag);
}

/**
 * The events of accounts for whoever reads them. Nothing is kept of an account that nobody reads. A reader that comes
 * back gets what it has missed or, when that is not kept, is told to begin anew.
 */
export class EventFeed {
  readonly #clock: Clock;
  /** Made anew at each start: what was told before is not known any more. */
  readonly #epoch = randomBytes(6).toString('hex');
  readonly #accounts = new Map<string, AccountFeed>();
  readonly #onWatched: Watch;
  /** Events that were not sent since their readers had not read the ones before. */
  #dropped = 0;

  /** @param onWatched somebody reads the events of one session */
  constructor(clock: Clock, onWatched: Watch = () => () => undefined) {
    this.#clock = clock;
    this.#onWatched = onWatched;
  }

  /** Whether events of an account have to be made. */
  isRead(accountId: string): boolean {
    return this.#accounts.has(accountId);
  }

  counts(): { readonly readers: number; readonly bytes: number; readonly dropped: number } {
    let [readers, bytes] = [0, 0];
    for (const feed of this.#accounts.values()) {
      readers += feed.readers.size;
      bytes += feed.bytes;
    }
    return { readers, bytes, dropped: this.#dropped };
  }

  readersOf(accountId: string): number {
    return this.#accounts.get(accountId)?.readers.size ?? 0;
  }

  add(accountId: string, event: AccountEvent): void {
    this.#accounts.get(accountId)?.add(event);
  }

  /** As {@link add}, but the event is not kept, and goes only to those who watch its session and keep up. */
  offer(accountId: string, event: AccountEvent): void {
    this.#dropped += this.#accounts.get(accountId)?.offer(event) ?? 0;
  }

  /**
   * Sends a reader what it has missed, or the event `reset`, and from now on what happens.
   * @returns a function that ends it
   */
  read(accountId: string, reader: Reader): () => void {
    const feed = this.#accounts.get(accountId) ?? new AccountFeed(this.#epoch);
    this.#accounts.set(accountId, feed);
    feed.forgets?.cancel();
    const { lastEventId, filter } = reader;
    const missed = lastEventId === undefined ? undefined : feed.since(lastEventId, filter);
    const reset = { id: feed.newestId, type: 'reset', text: '{}' };
    for (const event of missed ?? [reset]) reader.send(event);
    feed.readers.add(reader);
    const endWatch =
      filter.sessionId === undefined ? undefined : this.#onWatched(accountId, filter.sessionId);
    return () => {
      if (!feed.readers.delete(reader)) return;
      endWatch?.();
      if (feed.readers.size > 0) return;
      feed.forgets = this.#clock.setTimeout(() => this.#accounts.delete(accountId), RESUME_MS);
    };
  }

  stop(): void {
    for (const { forgets } of this.#accounts.values()) forgets?.cancel();
    this.#accounts.clear();
  }
}
