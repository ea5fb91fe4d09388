import { randomBytes } from 'node:crypto';
import { mkdir, open, readdir, truncate, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { StoreError } from '../engine.js';
import { connect } from './database.js';

export const databaseIn = (dataDir: string): string => join(dataDir, 'patchbay.db');
export const backupsIn = (dataDir: string): string => join(dataDir, 'backups');
/** Suffixes of the database's files: its own, and those that SQLite keeps beside it while it is open. */
export const DATABASE_PARTS = ['', '-wal', '-shm'];

/** The data folder cannot be used; the message names the file, what is wrong, and what to do. */
export class DataFolderError extends StoreError {
  override readonly name = 'DataFolderError';
}

/** Another process has the data folder. */
class FolderInUse extends DataFolderError {}

/** The code of an error of the system or of SQLite; empty if it has none. */
export function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : '';
}

/** Says what is wrong with a file, and what to do. */
export function inWords(error: unknown, path: string): DataFolderError {
  if (error instanceof DataFolderError) return error;
  return new DataFolderError(`${path} ${trouble(error)}`, { cause: error });
}

function trouble(error: unknown): string {
  const code = codeOf(error);
  switch (code) {
    case 'EACCES':
    case 'EPERM':
      return `cannot be used by the gateway's user (${whoami()}): give it to that user (chown), mode 700 for the folder and 600 for files.`;
    case 'EEXIST':
    case 'ENOTDIR':
      return 'is not a folder, or its path leads through a file: move that file away, or choose another PATCHBAY_DATA_DIR.';
    case 'EISDIR':
      return 'is a folder, but should be a file: move it away.';
    case 'EROFS':
      return 'is on a disk that is mounted read-only: mount it writable, or choose another PATCHBAY_DATA_DIR.';
    case 'ENOSPC':
    case 'EDQUOT':
      return 'cannot be written, the disk is full or out of inodes: free some space, or choose another PATCHBAY_DATA_DIR.';
    case 'EMFILE':
    case 'ENFILE':
      return 'cannot be opened, too many files are open: raise the limit (ulimit -n).';
    case 'ENOENT':
      return 'is missing.';
    default:
      if (code.startsWith('SQLITE_FULL')) return 'cannot be written, the disk is full: free some space.';
      if (code.startsWith('SQLITE_READONLY'))
        return 'cannot be written: check its owner, its mode and its disk.';
      // For a file that cannot be opened the library gives only SQLite's number.
      if (code.startsWith('SQLITE_CANTOPEN') || isCannotOpen(messageOf(error))) {
        return `cannot be opened by the gateway's user (${whoami()}): check owner, mode and disk of it and of its folder.`;
      }
      if (code.startsWith('SQLITE_IOERR'))
        return `cannot be read or written (${messageOf(error)}): the disk is full or failing. Free some space, and check the system's log.`;
      return `cannot be used: ${messageOf(error)}`;
  }
}

function isCannotOpen(message: string): boolean {
  return message.includes('ConnectionFailed') && /: 14\b/.test(message);
}

/** The error's message in one line. */
export function messageOf(error: unknown): string {
  return (error instanceof Error ? error.message : String(error)).replaceAll(/\s+/g, ' ');
}

function whoami(): string {
  return `uid ${process.getuid?.() ?? 'unknown'}`;
}

const LOCK_POLL_MS = 50;

const DRAFT = '.draft-';

/** The name of a file while it is being written. If the gateway dies meanwhile, {@link removeDrafts} deletes it. */
export function draftIn(folder: string): string {
  return join(folder, `${DRAFT}${randomBytes(6).toString('hex')}`);
}

/** Removes files that were never finished. */
export async function removeDrafts(folder: string): Promise<void> {
  const names = await readdir(folder);
  for (const name of names.filter((found) => found.startsWith(DRAFT))) await unlink(join(folder, name));
}

/**
 * Makes the data folder if there is none, and checks that it can be written.
 * @throws DataFolderError
 */
export async function prepareFolder(dataDir: string): Promise<void> {
  try {
    await mkdir(dataDir, { recursive: true, mode: 0o700 });
    const draft = draftIn(dataDir);
    const file = await open(draft, 'wx', 0o600);
    try {
      await file.writeFile(Buffer.alloc(4_096));
      await file.sync();
    } finally {
      await file.close();
      await unlink(draft);
    }
  } catch (error) {
    throw inWords(error, dataDir);
  }
}

/** Syncs a file or folder to disk. */
export async function sync(path: string): Promise<void> {
  const file = await open(path, 'r');
  try {
    await file.sync();
  } finally {
    await file.close();
  }
}

/** A time for names of files: `20261129T031500Z`. */
export function stamp(now = new Date()): string {
  return now.toISOString().replace(/[-:]|\.\d+/g, '');
}

/** A data folder's lock, held by this process. */
export interface FolderLock {
  release(): Promise<void>;
}

/**
 * Locks a data folder for this process. The lock is a transaction that is never committed, on a database of its own:
 * the system releases it when the process ends, however it ends.
 * @param waitMs how long to wait for another process that has it
 * @throws DataFolderError when another process has it
 */
export async function lockFolder(dataDir: string, waitMs = 0): Promise<FolderLock> {
  const until = performance.now() + waitMs;
  for (;;) {
    try {
      return await lockNow(dataDir);
    } catch (error) {
      if (!(error instanceof FolderInUse) || performance.now() >= until) throw error;
    }
    await pause(LOCK_POLL_MS);
  }
}

async function lockNow(dataDir: string): Promise<FolderLock> {
  const path = join(dataDir, 'lock.db');
  try {
    return await lockFile(path, dataDir);
  } catch (error) {
    if (!isDamaged(error)) throw inWords(error, path);
  }
  // SQLite locks a file before it reads it, so nobody holds a lock file that is found damaged. Truncate it, do not remove
  // it: two gateways that find it damaged at once must still compete for the same file.
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
    throw new FolderInUse(
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

/** Whether SQLite found a file damaged. */
export function isDamaged(error: unknown): boolean {
  return codeOf(error).startsWith('SQLITE_NOTADB') || codeOf(error).startsWith('SQLITE_CORRUPT');
}
