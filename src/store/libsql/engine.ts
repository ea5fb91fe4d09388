import { stat } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import type { Log } from '../../shared/index.js';
import { StateTooLargeError } from '../core-state.js';
import type { OpenedEngine } from '../engine.js';
import type { UsageReader } from '../usage-queries.js';
import { damagedIn, HourlyBackups, newestGood, setAside } from './backups.js';
import {
  backupsIn,
  codeOf,
  databaseIn,
  DataFolderError,
  inWords,
  isDamaged,
  messageOf,
  removeDrafts,
} from './data-folder.js';
import { type Database, openDatabase, rows } from './database.js';
import { load } from './load.js';
import { migrate, schemaVersion } from './schema.js';
import { tokenSecret } from './token-secret.js';
import { UsageReaderProcess } from './usage-reader/usage-reader.js';
import { libsqlWriter } from './writer.js';

interface LibsqlOptions {
  /** Prepared and locked. */
  readonly dataDir: string;
  /** How many hourly copies are kept; 0: none are made. */
  readonly backups: number;
  /** Used in place of the data folder's. */
  readonly tokenSecret?: string | undefined;
  /** Makes the reader of usage for a database file. Default: a separate process. */
  readonly usageReader?: ((path: string) => UsageReader) | undefined;
  readonly log: Log;
}

/**
 * Opens the database of a data folder. A damaged one is moved aside, and no new one is begun in its place.
 * @throws DataFolderError that says what is wrong with which file, and what to do
 */
export async function openLibsql(options: LibsqlOptions): Promise<OpenedEngine> {
  const { dataDir, backups, log } = options;
  const path = databaseIn(dataDir);
  await removeDrafts(dataDir);
  const secret =
    options.tokenSecret === undefined
      ? await tokenSecret(dataDir, log)
      : { secret: options.tokenSecret, found: false };
  await refuseToBeginAnew(dataDir);
  const { writer: database, isNew, found } = await openWhole(dataDir, log);
  if (isNew && secret.found) {
    log.warn(
      { file: path },
      'the database is new or empty, but the token secret is not: if there was one, restore it',
    );
  }
  const isThere = await presenceOf(path);
  const writer = libsqlWriter({
    exec: async (sql) => {
      await isThere();
      return database.exec(sql);
    },
  });
  const { usageReader = (file: string) => new UsageReaderProcess(file, log) } = options;
  const reader = usageReader(resolve(path));
  let copies: HourlyBackups | undefined;
  const engine = {
    tokenSecret: secret.secret,
    writer,
    reader,
    backedUpAt: () => copies?.lastAt,
    begin: (flush: () => Promise<void>) => {
      copies = new HourlyBackups({ dataDir, kept: backups, log, flush });
    },
    stop: async () => {
      await reader.close();
      await copies?.stop();
    },
    close: async () => {
      // After a clean stop the database is one file, and copying that is enough.
      await rows(database, 'PRAGMA wal_checkpoint(TRUNCATE)').catch((error: unknown) => {
        log.warn(
          { err: error, file: `${path}-wal` },
          'the write-ahead log could not be emptied: copy it together with the database',
        );
      });
      database.close();
    },
  };
  return { engine, found };
}

/** @throws DataFolderError when a damaged database was moved aside: do not silently begin with an empty one */
async function refuseToBeginAnew(dataDir: string): Promise<void> {
  const damaged = (await damagedIn(dataDir)).at(-1);
  if (damaged === undefined || (await isThere(databaseIn(dataDir)))) return;
  throw await damage(dataDir, 'was damaged', join(dataDir, damaged));
}

/** @throws DataFolderError when it is damaged, of a newer version, or cannot be used */
async function openWhole(dataDir: string, log: Log) {
  const path = databaseIn(dataDir);
  const opened: Database[] = [];
  try {
    const writer = await openDatabase(path, opened);
    const [found] = await rows(writer, 'PRAGMA quick_check(1)');
    if (found?.['quick_check'] !== 'ok') throw new DamagedError(String(found?.['quick_check']));
    const isNew = (await schemaVersion(writer)) === 0;
    await migrate(writer, path);
    return { writer, isNew, found: await load(writer, log) };
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
