import { chmod, copyFile, mkdir, readdir, rename, stat, unlink } from 'node:fs/promises';
import { basename, join, resolve } from 'node:path';
import type { Log } from '../../shared/index.js';
import {
  backupsIn,
  DATABASE_PARTS,
  databaseIn,
  DataFolderError,
  draftIn,
  inWords,
  lockFolder,
  messageOf,
  removeDrafts,
  stamp,
  sync,
} from './data-folder.js';
import { connect, rows } from './database.js';
import { SCHEMA_VERSION, schemaVersion } from './schema.js';

const HOUR_MS = 3_600_000;

/** No copy so soon after the start: other work is more urgent then. */
const SETTLE_MS = 60_000;

const BACKUP = /^patchbay-\d{8}T\d{6}Z\.db$/;

/** @throws Error that says what is wrong with the database file */
async function checkDatabase(path: string): Promise<void> {
  const database = connect(path);
  try {
    await rows(database, 'PRAGMA busy_timeout = 2000');
    const [found] = await rows(database, 'PRAGMA quick_check(1)');
    if (found?.['quick_check'] !== 'ok') throw new DataFolderError(String(found?.['quick_check']));
    const version = await schemaVersion(database);
    if (version === 0) throw new DataFolderError('the file is empty');
    if (version > SCHEMA_VERSION) throw new DataFolderError(`a newer version wrote it (schema ${version})`);
  } finally {
    database.close();
  }
}

/**
 * Copies the database of a data folder, which a gateway may be using. The copy appears only once it is whole and
 * checked.
 * @param folder where the copy goes; default: `backups` in the data folder
 * @returns the path of the copy
 * @throws DataFolderError when there is no database, or it cannot be copied
 */
export async function backup(dataDir: string, folder = backupsIn(dataDir)): Promise<string> {
  const source = databaseIn(dataDir);
  try {
    await stat(source);
  } catch (error) {
    throw inWords(error, source);
  }
  try {
    await mkdir(folder, { recursive: true, mode: 0o700 });
    await removeDrafts(folder);
  } catch (error) {
    throw inWords(error, folder);
  }
  const draft = draftIn(folder);
  const target = join(folder, `patchbay-${stamp()}.db`);
  try {
    // A separate connection reads one state of the database and blocks no write.
    const database = connect(source);
    try {
      await rows(database, 'PRAGMA busy_timeout = 2000');
      await database.exec(`VACUUM INTO '${draft.replaceAll("'", "''")}'`);
    } finally {
      database.close();
    }
    await chmod(draft, 0o600);
    await checkDatabase(draft);
    await sync(draft);
    await rename(draft, target);
    await sync(folder);
  } catch (error) {
    await unlink(draft).catch(() => undefined);
    throw inWords(error, target);
  }
  return target;
}

/** The copies in a folder, newest first. */
export async function backups(folder: string): Promise<readonly string[]> {
  let names: string[];
  try {
    names = await readdir(folder);
  } catch {
    return [];
  }
  return names
    .filter((name) => BACKUP.test(name))
    .sort()
    .reverse()
    .map((name) => join(folder, name));
}

/** The newest undamaged copy; undefined if there is none. */
export async function newestGood(dataDir: string): Promise<string | undefined> {
  for (const copy of await backups(backupsIn(dataDir))) {
    try {
      await checkDatabase(copy);
      return copy;
    } catch {
      // Try the next one.
    }
  }
  return undefined;
}

/** Removes all but the newest copies. */
export async function prune(dataDir: string, kept: number): Promise<void> {
  for (const copy of (await backups(backupsIn(dataDir))).slice(kept)) await unlink(copy);
}

/**
 * Moves a database away, to a name with the time.
 * @param why part of the name
 * @returns the new path; undefined if there was no database
 */
export async function setAside(dataDir: string, why: 'damaged' | 'replaced'): Promise<string | undefined> {
  const path = databaseIn(dataDir);
  const aside = `${path}.${why}-${stamp()}`;
  let found: string | undefined;
  for (const part of DATABASE_PARTS) {
    try {
      await rename(path + part, aside + part);
      if (part === '') found = aside;
    } catch (error) {
      if (!(error instanceof Error && 'code' in error && error.code === 'ENOENT'))
        throw inWords(error, path + part);
    }
  }
  return found;
}

/** Damaged databases that were moved away, oldest first. */
export async function damagedIn(dataDir: string): Promise<readonly string[]> {
  const start = `${basename(databaseIn(dataDir))}.damaged-`;
  const names = await readdir(dataDir);
  return names.filter((name) => name.startsWith(start) && /Z$/.test(name)).sort();
}

interface Restored {
  /** The copy that is in use now; absent if the database is a new, empty one. */
  readonly from: string | undefined;
  /** Where the database from before is now. */
  readonly aside: string | undefined;
}

/**
 * Replaces the database by a copy, and keeps the old one. No gateway may be using the folder.
 * @param from the copy; default: the newest undamaged one; `empty`: no copy, an empty database
 * @throws DataFolderError when a gateway uses the folder or the copy is damaged; nothing is changed then
 */
export async function restore(dataDir: string, from?: string): Promise<Restored> {
  const lock = await lockFolder(dataDir);
  try {
    const copy = from ?? (await newestGood(dataDir));
    if (copy === undefined) {
      throw new DataFolderError(
        `${backupsIn(dataDir)} holds no usable copy: name another file, or begin with nothing: npm run restore -- empty`,
      );
    }
    const draft = draftIn(dataDir);
    if (copy !== 'empty') {
      await check(copy);
      await copyFile(copy, draft);
      await chmod(draft, 0o600);
      await sync(draft);
    }
    const aside = await setAside(dataDir, 'replaced');
    if (copy === 'empty') await markEmpty(dataDir);
    else await rename(draft, databaseIn(dataDir));
    await sync(dataDir);
    return { from: copy === 'empty' ? undefined : resolve(copy), aside };
  } finally {
    await lock.release();
  }
}

async function check(copy: string): Promise<void> {
  try {
    await stat(copy);
    await checkDatabase(copy);
  } catch (error) {
    throw new DataFolderError(`${copy} is not a usable copy: ${messageOf(error)}`, { cause: error });
  }
}

/** Makes an empty database: the next start sees by it that the operator wants to begin with nothing. */
async function markEmpty(dataDir: string): Promise<void> {
  const database = connect(databaseIn(dataDir));
  try {
    await rows(database, 'PRAGMA journal_mode = WAL');
  } finally {
    database.close();
  }
}

/** Copies the database every hour, and keeps the newest copies. */
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

  /** Resolves when a copy under way is finished. */
  async stop(): Promise<void> {
    this.#stopped = true;
    clearTimeout(this.#timer);
    await this.#running;
  }

  /** Begins an hour after the last copy, even if that was before a restart. */
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
  /** Resolves when all changes made so far are in the database. */
  readonly flush: () => Promise<void>;
  readonly log: Log;
}
