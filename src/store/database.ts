import Libsql from 'libsql/promise';

/** What a column of a row may hold here. */
export type SqlValue = string | number | null;
export type Row = Readonly<Record<string, SqlValue>>;

/** A prepared statement. */
export interface Statement {
  all(parameters: readonly SqlValue[]): Promise<readonly Row[]>;
}

/** The embedded database, as far as the store uses it; the library's own types say `any` all over. */
export interface Database {
  /** Runs SQL, several statements too, off this thread. */
  exec(sql: string): Promise<unknown>;
  prepare(sql: string): Promise<Statement>;
  close(): void;
}

/** Opens a database file whose commits are durable: each waits for a sync of the disk. */
export async function openDatabase(path: string): Promise<Database> {
  const database = connect(path);
  await rows(database, 'PRAGMA journal_mode = WAL');
  await rows(database, 'PRAGMA synchronous = FULL');
  return database;
}

/** A connection as it comes. */
export function connect(path: string): Database {
  return new Libsql(path, {});
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
