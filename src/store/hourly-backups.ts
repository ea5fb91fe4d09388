import { stat } from 'node:fs/promises';
import { backup, backups, prune } from './backups.js';
import { backupsIn } from './data-folder.js';
import type { StoreLog } from './store.js';

const HOUR_MS = 3_600_000;
/** How long a start is left alone: what it has to do first is more urgent. */
const SETTLE_MS = 60_000;

/** Copies the database every hour, and keeps so many copies. */
export class HourlyBackups {
  readonly #parts: HourlyBackupParts;
  #timer: NodeJS.Timeout | undefined;
  #running: Promise<void> = Promise.resolve();
  #lastAt: number | undefined;
  #stopped = false;

  constructor(parts: HourlyBackupParts) {
    this.#parts = parts;
    if (parts.kept > 0) this.#running = this.#begin();
  }

  /** When the last copy was made, in epoch milliseconds. */
  get lastAt(): number | undefined {
    return this.#lastAt;
  }

  /** Resolves when a copy under way is made. */
  async stop(): Promise<void> {
    this.#stopped = true;
    clearTimeout(this.#timer);
    await this.#running;
  }

  /** An hour after the last copy, also when a gateway before this one made it. */
  async #begin(): Promise<void> {
    const [newest] = await backups(backupsIn(this.#parts.dataDir));
    if (newest !== undefined) this.#lastAt = (await stat(newest)).mtimeMs;
    const due = (this.#lastAt ?? 0) + HOUR_MS - Date.now();
    this.#schedule(Math.min(Math.max(due, SETTLE_MS), HOUR_MS));
  }

  #schedule(ms: number): void {
    if (this.#stopped) return;
    this.#timer = setTimeout(() => {
      this.#running = this.#copy();
    }, ms);
    this.#timer.unref();
  }

  async #copy(): Promise<void> {
    const { dataDir, kept, flush, log } = this.#parts;
    try {
      await flush();
      const file = await backup(dataDir);
      this.#lastAt = Date.now();
      await prune(dataDir, kept);
      log.info({ file }, 'the database was copied');
    } catch (error) {
      log.error({ err: error }, 'the database could not be copied; the next copy is due in an hour');
    }
    this.#schedule(HOUR_MS);
  }
}

interface HourlyBackupParts {
  readonly dataDir: string;
  readonly kept: number;
  /** Has what was changed so far in the database. */
  readonly flush: () => Promise<void>;
  readonly log: StoreLog;
}
