import Libsql from 'libsql/promise';
import type { Row, SqlValue } from '../rows.js';
import type { UsageDatabase } from '../usage-queries.js';

interface Statement {
  all(parameters: readonly SqlValue[]): Promise<readonly Readonly<Record<string, SqlValue | ArrayBuffer>>[]>;
}

/** The part of the database library that the store uses. The library's own types use `any` everywhere. */
export interface Database {
  /** Runs one or more SQL statements, off this thread. */
  exec(sql: string): Promise<unknown>;
  prepare(sql: string): Promise<Statement>;
  close(): void;
}

/**
 * Opens a database file. Its commits are durable: each waits for a sync of the disk.
 * @param opened gets the connection, so that the caller can close it even if this fails afterwards
 */
export async function openDatabase(path: string, opened: Database[] = []): Promise<Database> {
  const database = connect(path);
  opened.push(database);
  await rows(database, 'PRAGMA journal_mode = WAL');
  await rows(database, 'PRAGMA synchronous = FULL');
  // Operators may look into the database, which locks it for a moment.
  await rows(database, 'PRAGMA busy_timeout = 2000');
  return database;
}

/** A connection without any settings. */
export function connect(path: string): Database {
  return new Libsql(path, {});
}

/**
 * How to select a column of text: as bytes, of which {@link rows} makes text. The library aborts the process when text
 * is not UTF-8, and other programs or a failing disk may have written such text.
 */
export function bytesOf(column: string, expression = column): string {
  return `CAST(${expression} AS BLOB) AS ${column}`;
}

const utf8 = new TextDecoder();

export async function rows(
  database: Database,
  sql: string,
  parameters: readonly SqlValue[] = [],
): Promise<readonly Row[]> {
  const statement = await database.prepare(sql);
  const found = await statement.all(parameters);
  return found.map(
    (row) =>
      Object.fromEntries(
        Object.entries(row).map(([column, value]) => [
          column,
          value instanceof ArrayBuffer ? utf8.decode(value) : value,
        ]),
      ) as Row,
  );
}

/** For {@link runJob}. */
export function forUsage(database: Database): UsageDatabase {
  return {
    rows: (sql, parameters) => rows(database, sql, parameters),
    text: bytesOf,
    words: { position: 'instr', greatest: 'max' },
  };
}
