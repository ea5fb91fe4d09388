import { setImmediate } from 'node:timers/promises';
import { PatchbayError } from '../core/index.js';
import type { Log } from '../shared/index.js';
import { DeposedError, type Writer } from './engine.js';
import { storable, toRow, type Write, type WriteName } from './writes.js';

/** Shared by all callers that wait for the same commit. */
class Waiting {
  resolve!: () => void;
  reject!: (error: Error) => void;
  readonly committed = new Promise<void>((resolve, reject) => {
    this.resolve = resolve;
    this.reject = reject;
  });
}

const CANNOT_WRITE =
  'the store cannot write: changes are refused with 503 until it can; it tries again each second. ';
const RETRY_MS = 1_000;
/**
 * How long writes that nobody waits for are gathered before a commit. A busy gateway makes hundreds of them each second;
 * a transaction for each, with its sync of the disk, would take a tenth of a core from the calls.
 */
const GATHER_MS = 10;
/** While the database takes no writes, new devices are refused once this much waits. */
const MAX_KEPT = { writes: 20_000, characters: 32 * 1024 * 1024 };

export interface StoreHealth {
  /** False from a commit that failed until one succeeds. */
  readonly writable: boolean;
  /** Writes that are not in the database yet. */
  readonly waiting: number;
}

/**
 * Write-behind queue: it gathers writes for up to 10 ms, or until a caller flushes, into one transaction, so that many
 * writes share one sync of the disk. Writes that fail are kept and retried; until that succeeds, changes that would
 * have to wait behind them are refused.
 */
export class WriteQueue {
  readonly #writer: Writer;
  readonly #log: Log;
  readonly #onDeposed: () => void;
  /** By key: a later write of a key replaces the earlier one, which bounds the queue. */
  #pending = new Map<string, Write>();
  /** Of all rows in `#pending`, in characters. */
  #size = 0;
  #waiting: Waiting | undefined;
  #running: Promise<void> | undefined;
  /** The next commit, while none is under way. */
  #timer: NodeJS.Timeout | undefined;
  /** Since when commits have failed. */
  #failing: { readonly since: number; readonly error: Error } | undefined;
  /** Another gateway has taken over: what is in memory is void, and nothing is tried any more. */
  #deposed = false;

  /** @param onDeposed called once, when the writer may never write again */
  constructor(writer: Writer, log: Log, onDeposed: () => void = () => undefined) {
    this.#writer = writer;
    this.#log = log;
    this.#onDeposed = onDeposed;
  }

  get health(): StoreHealth {
    return { writable: !this.#failing, waiting: this.#pending.size };
  }

  /** @throws PatchbayError STORE_UNAVAILABLE while commits fail */
  admitChange(): void {
    if (this.#failing) throw this.#unavailable('Nothing was changed.');
  }

  /** @throws PatchbayError STORE_UNAVAILABLE while commits fail and too much waits for them */
  admitConnection(): void {
    if (!this.#failing) return;
    if (this.#pending.size < MAX_KEPT.writes && this.#size < MAX_KEPT.characters) return;
    throw this.#unavailable('Too many writes wait for it.');
  }

  /**
   * @param key names the item that is written; `row` holds its whole new state
   * @param name what is written
   */
  put(key: string, name: WriteName, row: object): void {
    if (this.#deposed) return;
    // No two writes of one commit may be of the same row, which one statement could not change twice in PostgreSQL.
    this.#keep(storable(key), { name, row: toRow(row) });
    this.#startWithin(GATHER_MS);
  }

  /**
   * Resolves when everything put so far is on disk.
   * @throws PatchbayError STORE_FAILED when it could not be written; STORE_UNAVAILABLE at once while commits fail
   */
  async flush(): Promise<void> {
    if (this.#pending.size === 0 && !this.#running && !this.#deposed) return;
    if (this.#failing) throw this.#unavailable('Earlier changes are kept, and will be written first.');
    this.#start();
    await (this.#waiting ??= new Waiting()).committed;
  }

  /** Waits for the commit under way, and tries the remaining writes once more. What fails then is lost. */
  async stop(): Promise<void> {
    await this.#running;
    if (this.#pending.size > 0 && !this.#deposed) this.#start();
    await this.#running;
    clearTimeout(this.#timer);
    if (this.#pending.size === 0) return;
    this.#log.error(
      { lost: this.#pending.size },
      'the store closes before all writes are done: they are lost',
    );
  }

  #unavailable(consequence: string): PatchbayError {
    return new PatchbayError(
      'PATCHBAY_STORE_UNAVAILABLE',
      `The gateway cannot write to its database at present; its log says why. ${consequence}`,
      { cause: this.#failing?.error },
    );
  }

  #keep(key: string, write: Write): void {
    this.#size += write.row.length - (this.#pending.get(key)?.row.length ?? 0);
    this.#pending.delete(key);
    this.#pending.set(key, write);
  }

  #startWithin(ms: number): void {
    if (!this.#running && !this.#deposed) this.#timer ??= setTimeout(() => this.#start(), ms);
  }

  #start(): void {
    if (this.#running || this.#deposed) return;
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#running = this.#run().then((committed) => {
      this.#running = undefined;
      if (this.#deposed) return;
      if (this.#waiting) this.#start();
      else if (this.#pending.size > 0) this.#startWithin(committed ? GATHER_MS : RETRY_MS);
    });
  }

  /** Commits batch after batch as long as somebody waits. @returns false when a commit failed */
  async #run(): Promise<boolean> {
    do {
      // Commit all writes of one turn together. So too after a commit: callers that it answered may write more at once.
      await setImmediate();
      const { batch, waiting } = this.#take();
      try {
        await this.#commit(batch.values());
        waiting?.resolve();
      } catch (error) {
        this.#keepForLater(batch, error as Error, waiting);
        if (error instanceof DeposedError) this.#end();
        return false;
      }
    } while (this.#waiting);
    return true;
  }

  /** Takes all pending writes. Later ones belong to the next commit. */
  #take(): { readonly batch: Map<string, Write>; readonly waiting: Waiting | undefined } {
    const taken = { batch: this.#pending, waiting: this.#waiting };
    this.#pending = new Map();
    this.#size = 0;
    this.#waiting = undefined;
    return taken;
  }

  async #commit(batch: Iterable<Write>): Promise<void> {
    // Many writes may wait: do not build a large transaction before the database is known to take writes.
    if (this.#failing) await this.#writer.probe();
    await this.#writer.commit(batch);
    this.#succeeded();
  }

  #succeeded(): void {
    if (!this.#failing) return;
    const seconds = Math.round((performance.now() - this.#failing.since) / 1_000);
    this.#failing = undefined;
    this.#log.warn({ seconds }, 'the store can write again: changes are accepted again');
  }

  /** From now on changes are refused, as they are while commits fail. */
  #end(): void {
    this.#deposed = true;
    this.#pending.clear();
    this.#size = 0;
    this.#onDeposed();
  }

  #keepForLater(batch: Map<string, Write>, error: Error, waiting: Waiting | undefined): void {
    const later = this.#pending;
    this.#pending = new Map();
    this.#size = 0;
    for (const writes of [batch, later]) for (const [key, write] of writes) this.#keep(key, write);
    if (!this.#failing) {
      this.#failing = { since: performance.now(), error };
      this.#log.error({ err: error, writes: this.#pending.size }, CANNOT_WRITE + this.#writer.advice);
    }
    const failed = new PatchbayError(
      'PATCHBAY_STORE_FAILED',
      'The change was made, but could not be written to the database; it is kept, and will be written once the database takes writes.',
      { cause: error },
    );
    waiting?.reject(failed);
    // Callers that wait for the next commit are told at once: it would fail as this one did.
    this.#waiting?.reject(failed);
    this.#waiting = undefined;
  }
}
