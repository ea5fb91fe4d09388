import { chmod, copyFile, mkdir, readdir, rename, stat, unlink } from 'node:fs/promises';
import { basename, join, resolve } from 'node:path';
import type { Log } from '../shared/index.js';
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

/** How long a start is left alone: what it has to do first is more urgent. */
const SETTLE_MS = 60_000;

const BACKUP = /^patchbay-\d{8}T\d{6}Z\.db$/;

/** @throws Error that says what is wrong with a database file */
async function checkDatabase(path: string): Promise<void> {
  const database = connect(path);
  try {
    await rows(database, 'PRAGMA busy_timeout = 2000');
    const [found] = await rows(database, 'PRAGMA quick_check(1)');
    if (found?.['quick_check'] !== 'ok') throw new DataFolderError(String(found?.['quick_check']));
    const version = await schemaVersion(database);
    if (version === 0) throw new DataFolderError('it is empty');
    if (version > SCHEMA_VERSION) throw new DataFolderError(`it is of a newer version (${version})`);
  } finally {
    database.close();
  }
}

/**
 * Copies the database of a data folder, which a gateway may be using: whole, checked, and never there by halves.
 * @param folder where the copy goes; default: `backups` in the data folder
 * @returns the copy
 * @throws DataFolderError when there is nothing to copy, or it cannot be copied
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
    // On a connection of its own: it reads one state of the database, and holds up no write.
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

/** The newest copy that is whole; absent when none is. */
export async function newestGood(dataDir: string): Promise<string | undefined> {
  for (const copy of await backups(backupsIn(dataDir))) {
    try {
      await checkDatabase(copy);
      return copy;
    } catch {
      // The next one is asked for.
    }
  }
  return undefined;
}

/** Removes all but the newest copies. */
export async function prune(dataDir: string, kept: number): Promise<void> {
  for (const copy of (await backups(backupsIn(dataDir))).slice(kept)) await unlink(copy);
}

/**
 * Moves a database out of the way, under a name with a time.
 * @param why part of the name
 * @returns the new name; absent when there was none
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

/** Databases that were found damaged and moved out of the way, oldest first. */
export async function damagedIn(dataDir: string): Promise<readonly string[]> {
  const start = `${basename(databaseIn(dataDir))}.damaged-`;
  const names = await readdir(dataDir);
  return names.filter((name) => name.startsWith(start) && /Z$/.test(name)).sort();
}

/** What a restore did. */
interface Restored {
  /** The copy that is in use now; absent when the folder begins anew. */
  readonly from: string | undefined;
  /** The database that was there before. */
  readonly aside: string | undefined;
}

/**
 * Puts a copy in the place of the database, and keeps what was there. No gateway may have the folder.
 * @param from the copy; default: the newest whole one; `empty`: none, the folder begins anew
 * @throws DataFolderError when a gateway has the folder or the copy is not whole; nothing is changed then
 */
export async function restore(dataDir: string, from?: string): Promise<Restored> {
  const lock = await lockFolder(dataDir);
  try {
    const copy = from ?? (await newestGood(dataDir));
    if (copy === undefined) {
      throw new DataFolderError(
        `${backupsIn(dataDir)} holds no whole copy: name another file, or begin with nothing: npm run restore -- empty`,
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
    throw new DataFolderError(`${copy} is no whole copy: ${messageOf(error)}`, { cause: error });
  }
}

/** A database with nothing in it: that it is there tells the next start that this is meant. */
async function markEmpty(dataDir: string): Promise<void> {
  const database = connect(databaseIn(dataDir));
  try {
    await rows(database, 'PRAGMA journal_mode = WAL');
  } finally {
    database.close();
  }
}

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
  readonly log: Log;
}
