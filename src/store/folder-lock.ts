import { join } from 'node:path';
import { connect } from './database.js';

/** A data folder's lock, held by this process. */
export interface FolderLock {
  release(): Promise<void>;
}

/**
 * Takes a data folder for this process. The lock is a transaction never committed, on a database of its own: the
 * system ends it with the process, however that ends.
 * @throws Error when another process has it
 */
export async function lockFolder(dataDir: string): Promise<FolderLock> {
  const database = connect(join(dataDir, 'lock.db'));
  try {
    await database.exec('BEGIN EXCLUSIVE');
  } catch (error) {
    database.close();
    if (!isBusy(error)) throw error;
    throw new Error(`Another gateway uses the data folder ${dataDir}.`, { cause: error });
  }
  return {
    release: async () => {
      await database.exec('ROLLBACK');
      database.close();
    },
  };
}

function isBusy(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'SQLITE_BUSY';
}
