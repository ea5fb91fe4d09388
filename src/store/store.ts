import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { CoreStore } from '../core/index.js';
import { CoreTables, loadCoreState } from './core-tables.js';
import { closeDatabase, openDatabase } from './database.js';
import { migrate } from './schema.js';
import { tokenSecret } from './token-secret.js';
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
  const database = await openDatabase(join(options.dataDir, 'patchbay.db'));
  await migrate(database);
  const queue = new WriteQueue(database, options.log);
  return {
    tokenSecret: await tokenSecret(options.dataDir),
    core: new CoreTables(await loadCoreState(database), queue),
    flush: () => queue.flush(),
    close: async () => {
      await queue.stop();
      await closeDatabase(database);
    },
  };
}
