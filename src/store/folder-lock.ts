import { truncate } from 'node:fs/promises';
import { join } from 'node:path';
import { codeOf, DataFolderError, inWords } from './data-folder.js';
import { connect } from './database.js';

/** A data folder's lock, held by this process. */
export interface FolderLock {
  release(): Promise<void>;
}

/**
 * Takes a data folder for this process. The lock is a transaction never committed, on a database of its own: the
 * system ends it with the process, however that ends.
 * @throws DataFolderError when another process has it
 */
export async function lockFolder(dataDir: string): Promise<FolderLock> {
  const path = join(dataDir, 'lock.db');
  try {
    return await lockFile(path, dataDir);
  } catch (error) {
    if (!isDamaged(error)) throw inWords(error, path);
  }
  // SQLite takes its lock before it reads: nobody has a lock file that it found damaged. Emptied, not removed, so that
  // two gateways that find it so at once still want the same file.
  try {
    await truncate(path);
    return await lockFile(path, dataDir);
  } catch (error) {
    throw inWords(error, path);
  }
}

async function lockFile(path: string, dataDir: string): Promise<FolderLock> {
  const database = connect(path);
  try {
    await database.exec('BEGIN EXCLUSIVE');
  } catch (error) {
    database.close();
    if (codeOf(error) !== 'SQLITE_BUSY') throw error;
    throw new DataFolderError(
      `Another gateway uses the data folder ${dataDir}: stop it, or choose another PATCHBAY_DATA_DIR.`,
      { cause: error },
    );
  }
  return {
    release: async () => {
      await database.exec('ROLLBACK');
      database.close();
    },
  };
}

/** Whether SQLite found a file not to be what it should be. */
export function isDamaged(error: unknown): boolean {
  return codeOf(error).startsWith('SQLITE_NOTADB') || codeOf(error).startsWith('SQLITE_CORRUPT');
}
