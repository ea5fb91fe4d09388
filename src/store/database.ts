import Libsql from 'libsql/promise';

/** What a column of a row may hold here. */
export type SqlValue = string | number | null;
export type Row = Readonly<Record<string, SqlValue>>;

/** A prepared statement. */
export interface Statement {
  /** Runs at once on this thread: microseconds inside a transaction, where nothing reaches the disk yet. */
  run(parameters: readonly SqlValue[]): unknown;
  all(parameters: readonly SqlValue[]): Promise<readonly Row[]>;
}

/** The embedded database, as far as the store uses it; the library's own types say `any` all over. */
export interface Database {
  /** Runs SQL off this thread. */
  exec(sql: string): Promise<unknown>;
  prepare(sql: string): Promise<Statement>;
  close(): void;
}

/**
 * Opens a database file for this process alone, durable at each commit. The lock goes with the process, however
 * it ends.
 * @throws Error when another process has it
 */
export async function openDatabase(path: string): Promise<Database> {
  const database = new Libsql(path, {}) as Database;
  try {
    // Exclusive before the first access, and taken by a write: nobody else gets in while this process lives.
    for (const pragma of ['locking_mode=EXCLUSIVE', 'journal_mode=WAL', 'synchronous=FULL']) {
      await rows(database, `PRAGMA ${pragma}`);
    }
    await database.exec('BEGIN IMMEDIATE; COMMIT');
    return database;
  } catch (error) {
    database.close();
    if (isBusy(error)) {
      throw new Error(`Another gateway uses this data folder: ${path} is locked.`, { cause: error });
    }
    throw error;
  }
}

/**
 * Lets the file go at once. Closing alone would leave it locked until the last statement is collected, and an
 * exclusive lock is given up only outside of the write-ahead log (SQLite's PRAGMA locking_mode).
 */
export async function closeDatabase(database: Database): Promise<void> {
  for (const pragma of ['journal_mode=DELETE', 'locking_mode=NORMAL', 'user_version']) {
    await rows(database, `PRAGMA ${pragma}`);
  }
  database.close();
}

/** All rows of a query. */
export async function rows(
  database: Database,
  sql: string,
  parameters: readonly SqlValue[] = [],
): Promise<readonly Row[]> {
  const statement = await database.prepare(sql);
  return await statement.all(parameters);
}

function isBusy(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'SQLITE_BUSY';
}
