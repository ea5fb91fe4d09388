import { getHeapStatistics } from 'node:v8';
import { stat } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import type { CoreStore } from '../core/index.js';
import type { UsageStore } from '../usage/index.js';
import type { Log } from '../shared/index.js';
import { CallTables, loadCalls } from './call-tables.js';
import { CoreTables, loadCoreState, StateTooLargeError } from './core-tables.js';
import { loadPrograms, ProgramTables } from './program-tables.js';
import { damagedIn, HourlyBackups, newestGood, setAside } from './backups.js';
import {
  backupsIn,
  codeOf,
  databaseIn,
  DataFolderError,
  type FolderLock,
  inWords,
  isDamaged,
  lockFolder,
  messageOf,
  prepareFolder,
  removeDrafts,
} from './data-folder.js';
import { type Database, openDatabase, rows } from './database.js';
import { migrate, schemaVersion } from './schema.js';
import { tokenSecret } from './token-secret.js';
import { type UsageReader, UsageReaderProcess } from './usage-reader/usage-reader.js';
import { loadUsage, UsageTables } from './usage-tables.js';
import { type StoreHealth, WriteQueue } from './write-queue.js';

/** Everything that survives a restart, in one data folder. */
export interface Store {
  /** Signs participant tokens; made at the first start. */
  readonly tokenSecret: string;
  readonly core: CoreStore;
  readonly usage: UsageStore;
  readonly calls: CallTables;
  readonly programs: ProgramTables;
  /** Whether it can write, and when the last copy was made (epoch ms), if one was. */
  health(): StoreHealth & { readonly backedUpAt: number | undefined };
  /** Resolves when everything saved so far is on disk. @throws Error when it could not be written */
  flush(): Promise<void>;
  /** Writes what is left and unlocks the data folder. */
  close(): Promise<void>;
}

interface StoreOptions {
  readonly dataDir: string;
  /** How long to wait for another process that has the data folder, in ms. Default: not at all. */
  readonly lockWaitMs?: number;
  /** How many hourly copies of the database are kept in the data folder. Default: none are made. */
  readonly backups?: number;
  /** Used in place of the data folder's, which is then neither made nor read. */
  readonly tokenSecret?: string | undefined;
  /** Makes the reader of usage for a database file. Default: a separate process. */
  readonly usageReader?: (path: string) => UsageReader;
  readonly log: Log;
}

/**
 * Opens the store of a data folder, and makes the folder if there is none. One process at a time can have it open. A
 * damaged database is moved aside, and no new one is begun in its place.
 * @throws DataFolderError that says what is wrong with which file, and what to do
 */
export async function openStore(options: StoreOptions): Promise<Store> {
  await prepareFolder(options.dataDir);
  const lock = await lockFolder(options.dataDir, options.lockWaitMs);
  try {
    return await openLocked(options, lock);
  } catch (error) {
    await lock.release();
    throw error;
  }
}

async function openLocked(options: StoreOptions, lock: FolderLock): Promise<Store> {
  const { dataDir, log } = options;
  const path = databaseIn(dataDir);
  await removeDrafts(dataDir);
  const secret =
    options.tokenSecret === undefined
      ? await tokenSecret(dataDir, log)
      : { secret: options.tokenSecret, found: false };
  await refuseToBeginAnew(dataDir);
  const {
    writer,
    isNew,
    core,
    calls,
    programs,
    usage: leftovers,
  } = await openWhole(dataDir, secret.secret, log);
  if (isNew && secret.found) {
    log.warn(
      { file: path },
      'the database is new or empty, but the token secret is not: if there was one, restore it',
    );
  }
  const isThere = await presenceOf(path);
  const queue = new WriteQueue(
    {
      exec: async (sql) => {
        await isThere();
        return writer.exec(sql);
      },
    },
    log,
  );
  const copies = new HourlyBackups({ dataDir, kept: options.backups ?? 0, log, flush: () => queue.flush() });
  const { usageReader = (file: string) => new UsageReaderProcess(file, log) } = options;
  const reader = usageReader(resolve(path));
  const usage = new UsageTables(leftovers, reader, queue);
  return {
    tokenSecret: secret.secret,
    core: new CoreTables(core, queue),
    usage,
    calls: new CallTables(calls, queue),
    programs: new ProgramTables(programs, queue),
    health: () => ({ ...queue.health, backedUpAt: copies.lastAt }),
    flush: () => queue.flush(),
    close: async () => {
      usage.stop();
      await reader.close();
      await copies.stop();
      await queue.stop();
      // After a clean stop the database is one file, and copying that is enough.
      await rows(writer, 'PRAGMA wal_checkpoint(TRUNCATE)').catch((error: unknown) => {
        log.warn(
          { err: error, file: `${path}-wal` },
          'the write-ahead log could not be emptied: copy it together with the database',
        );
      });
      writer.close();
      await lock.release();
    },
  };
}

/** Part of the heap's limit that Node reserves for the young generation, where nothing can stay. */
const YOUNG_BYTES = 48 * 1_048_576;

/** Bytes that the stored state may take: half of the heap that is still free. */
function roomForState(): number {
  const { heap_size_limit: limit, used_heap_size: used } = getHeapStatistics();
  return Math.max(0, limit - YOUNG_BYTES - used) / 2;
}

/** @throws DataFolderError when a damaged database was moved aside: do not silently begin with an empty one */
async function refuseToBeginAnew(dataDir: string): Promise<void> {
  const damaged = (await damagedIn(dataDir)).at(-1);
  if (damaged === undefined || (await isThere(databaseIn(dataDir)))) return;
  throw await damage(dataDir, 'was damaged', join(dataDir, damaged));
}

/** @throws DataFolderError when it is damaged, of a newer version, or cannot be used */
async function openWhole(dataDir: string, secret: string, log: Log) {
  const path = databaseIn(dataDir);
  const opened: Database[] = [];
  try {
    const writer = await openDatabase(path, opened);
    const [found] = await rows(writer, 'PRAGMA quick_check(1)');
    if (found?.['quick_check'] !== 'ok') throw new DamagedError(String(found?.['quick_check']));
    const isNew = (await schemaVersion(writer)) === 0;
    await migrate(writer, path);
    const core = await loadCoreState(writer, roomForState(), log);
    const calls = await loadCalls(writer, secret, log);
    const programs = await loadPrograms(writer, secret, log);
    return { writer, isNew, core, calls, programs, usage: await loadUsage(writer, log) };
  } catch (error) {
    for (const database of opened) database.close();
    if (error instanceof StateTooLargeError) throw error;
    if (!isDamaged(error) && !(error instanceof DamagedError)) throw inWords(error, path);
    const aside = await setAside(dataDir, 'damaged');
    throw await damage(dataDir, `is damaged (${messageOf(error)})`, aside ?? path);
  }
}

class DamagedError extends Error {}

async function damage(dataDir: string, what: string, aside: string): Promise<DataFolderError> {
  const copy = await newestGood(dataDir);
  const goOn =
    copy === undefined
      ? `There is no usable copy in ${backupsIn(dataDir)}. To use a copy from elsewhere: npm run restore -- FILE; to begin with nothing: npm run restore -- empty`
      : `The newest usable copy is ${copy}. To use it: npm run restore`;
  return new DataFolderError(`${databaseIn(dataDir)} ${what}. It is kept as ${aside}. ${goOn}`);
}

async function isThere(path: string): Promise<boolean> {
  try {
    await stat(path);
    return true;
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return false;
    throw inWords(error, path);
  }
}

/**
 * Remembers which file is the database.
 * @returns a check that throws when the file was removed or replaced: nobody would find what is written to it then
 */
async function presenceOf(path: string): Promise<() => Promise<void>> {
  const { dev, ino } = await stat(path);
  return async () => {
    const found = await stat(path);
    if (found.dev !== dev || found.ino !== ino) {
      throw new Error(`${path} was removed or replaced since the gateway opened it: restart the gateway.`);
    }
  };
}
