import { setImmediate } from 'node:timers/promises';
import type { Database } from './database.js';
import type { StoreLog } from './store.js';
import { toRow, transaction, type Write } from './transaction.js';

/** All who wait for the same commit. */
class Waiting {
  resolve!: () => void;
  reject!: (error: Error) => void;
  readonly committed = new Promise<void>((resolve, reject) => {
    this.resolve = resolve;
    this.reject = reject;
  });
}

const RETRY_MS = 1_000;
/**
 * How long a write that nobody waits for may lie before its commit begins. A busy gateway puts hundreds of them each
 * second, and a transaction for each, with its sync of the disk, would take a tenth of a core from the calls.
 */
const GATHER_MS = 10;

/**
 * Writes behind the callers' backs: what is put within a moment, or until somebody waits for it, becomes one
 * transaction, so that many writes share one sync of the disk. What cannot be written is kept and tried again.
 */
export class WriteQueue {
  readonly #database: Database;
  readonly #log: StoreLog;
  /** By key: a later write of a key takes the place of an earlier one, which bounds the queue. */
  #pending = new Map<string, Write>();
  #waiting: Waiting | undefined;
  #running: Promise<void> | undefined;
  /** The next commit, while none is under way. */
  #timer: NodeJS.Timeout | undefined;

  constructor(database: Database, log: StoreLog) {
    this.#database = database;
    this.#log = log;
  }

  /**
   * @param key names what the write is about; it must carry the whole new state of that
   * @param sql see {@link Write.sql}
   */
  put(key: string, sql: string, row: object): void {
    this.#pending.delete(key);
    this.#pending.set(key, { sql, row: toRow(row) });
    this.#startWithin(GATHER_MS);
  }

  /** Resolves when everything put so far is on disk. @throws Error when it could not be written */
  flush(): Promise<void> {
    if (this.#pending.size === 0 && !this.#running) return Promise.resolve();
    this.#start();
    return (this.#waiting ??= new Waiting()).committed;
  }

  /** Waits for the writes under way and stops trying those that fail. */
  async stop(): Promise<void> {
    await this.flush().catch((error: unknown) => {
      this.#log.error({ err: error, lost: this.#pending.size }, 'the store closes with writes undone');
    });
    await this.#running;
    clearTimeout(this.#timer);
  }

  #startWithin(ms: number): void {
    if (!this.#running) this.#timer ??= setTimeout(() => this.#start(), ms);
  }

  #start(): void {
    if (this.#running) return;
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#running = this.#run().then((committed) => {
      this.#running = undefined;
      if (this.#waiting) this.#start();
      else if (this.#pending.size > 0) this.#startWithin(committed ? GATHER_MS : RETRY_MS);
    });
  }

  /** Commits batch after batch for as long as somebody waits. @returns false when one failed */
  async #run(): Promise<boolean> {
    do {
      // What is put in this turn belongs together. After a commit, too: whoever is answered now asks for more.
      await setImmediate();
      const { batch, waiting } = this.#take();
      try {
        await this.#commit(batch.values());
        waiting?.resolve();
      } catch (error) {
        this.#keepForLater(batch, error as Error, waiting);
        return false;
      }
    } while (this.#waiting);
    return true;
  }

  /** What is put from now on belongs to the next commit. */
  #take(): { readonly batch: Map<string, Write>; readonly waiting: Waiting | undefined } {
    const taken = { batch: this.#pending, waiting: this.#waiting };
    this.#pending = new Map();
    this.#waiting = undefined;
    return taken;
  }

  async #commit(batch: Iterable<Write>): Promise<void> {
    try {
      await this.#database.exec(transaction(batch));
    } catch (error) {
      // Nothing to roll back when it could not even begin.
      await this.#database.exec('ROLLBACK').catch(() => undefined);
      throw error;
    }
  }

  #keepForLater(batch: Map<string, Write>, error: Error, waiting: Waiting | undefined): void {
    this.#log.error({ err: error, writes: batch.size }, 'the store cannot write; it will try again');
    for (const [key, write] of this.#pending) {
      batch.delete(key);
      batch.set(key, write);
    }
    this.#pending = batch;
    waiting?.reject(error);
  }
}
