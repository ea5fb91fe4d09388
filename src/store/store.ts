import { getHeapStatistics } from 'node:v8';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { CoreStore } from '../core/index.js';
import type { UsageStore } from '../usage/index.js';
import { CoreTables, loadCoreState } from './core-tables.js';
import { openDatabase } from './database.js';
import { type FolderLock, lockFolder } from './folder-lock.js';
import { migrate } from './schema.js';
import { tokenSecret } from './token-secret.js';
import { loadUsage, UsageTables } from './usage-tables.js';
import { WriteQueue } from './write-queue.js';

/** The part of a pino logger that the store uses. */
export interface StoreLog {
  error(fields: object, message: string): void;
}

/** Everything that survives a restart, in one data folder. */
export interface Store {
  /** Signs participant tokens; made at the first start. */
  readonly tokenSecret: string;
  readonly core: CoreStore;
  readonly usage: UsageStore;
  /** Resolves when everything saved so far is on disk. @throws Error when it could not be written */
  flush(): Promise<void>;
  /** Writes what is left and lets the data folder go. */
  close(): Promise<void>;
}

/**
 * Opens the store of a data folder, making the folder when it is not there. One process at a time has it.
 * @throws Error when another process has the folder or a newer version of the gateway wrote it
 */
export async function openStore(options: {
  readonly dataDir: string;
  readonly log: StoreLog;
}): Promise<Store> {
  await mkdir(options.dataDir, { recursive: true, mode: 0o700 });
  const lock = await lockFolder(options.dataDir);
  try {
    return await openLocked(options.dataDir, options.log, lock);
  } catch (error) {
    await lock.release();
    throw error;
  }
}

async function openLocked(dataDir: string, log: StoreLog, lock: FolderLock): Promise<Store> {
  const path = join(dataDir, 'patchbay.db');
  const [writer, reader] = [await openDatabase(path), await openDatabase(path)];
  await migrate(writer);
  const queue = new WriteQueue(writer, log);
  return {
    tokenSecret: await tokenSecret(dataDir),
    core: new CoreTables(await loadCoreState(writer, roomForState()), queue),
    usage: new UsageTables(await loadUsage(writer), reader, queue),
    flush: () => queue.flush(),
    close: async () => {
      await queue.stop();
      reader.close();
      writer.close();
      await lock.release();
    },
  };
}

/** Bytes that the state may take at the start: three quarters of what the heap has left. */
function roomForState(): number {
  const { heap_size_limit: limit, used_heap_size: used } = getHeapStatistics();
  return (limit - used) * 0.75;
}
