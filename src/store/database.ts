import Libsql from 'libsql/promise';
import type { Log } from '../shared/index.js';

/** `JSON.stringify` writes lone surrogates and NUL as escapes; an escaped backslash is not part of one. */
const UNSTORABLE = /\\\\|\\u(?:d[89a-f][0-9a-f]{2}|0000)/g;

export type SqlValue = string | number | null;
export type Row = Readonly<Record<string, SqlValue>>;

export interface Statement {
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

/** Parses a column of JSON. @throws Error when it is not a JSON object */
export function parsed(json: SqlValue | undefined): object {
  const value: unknown = JSON.parse(String(json));
  if (typeof value !== 'object' || value === null) throw new TypeError('This is not a JSON object.');
  return value;
}

/** Converts the rows of a table. Logs and leaves out damaged ones, so that they do not keep the gateway from starting. */
export function readable<T>(
  table: string,
  found: readonly Row[],
  convert: (row: Row) => T,
  log: Log,
): readonly T[] {
  return found.flatMap((row) => {
    try {
      return [convert(row)];
    } catch (error) {
      const { id, participant_id: participantId } = row;
      log.error({ err: error, table, id, participantId }, 'a row of patchbay.db is damaged, and is ignored');
      return [];
    }
  });
}

export interface Write {
  /**
   * A statement that writes the rows of the table `rows`, each with a JSON object in its column `value`, for example
   * `INSERT INTO things SELECT value->>'id', value FROM rows`.
   */
  readonly sql: string;
  /** One row, as JSON. */
  readonly row: string;
}

/**
 * One transaction of many writes, as SQL text. The library runs text as a whole off this thread, but passes and writes
 * bound values one by one on this thread.
 */
export function transaction(writes: Iterable<Write>): string {
  const statements: string[] = [];
  let sql: string | undefined;
  let rows: string[] = [];
  const close = (): void => {
    if (sql !== undefined) statements.push(`WITH rows(value) AS (VALUES ${rows.join(', ')}) ${sql}`);
    rows = [];
  };
  // Successive writes with the same SQL become one statement; the order of the writes stays.
  for (const write of writes) {
    if (write.sql !== sql) close();
    sql = write.sql;
    rows.push(`('${write.row.replaceAll("'", "''")}')`);
  }
  close();
  return `BEGIN; ${statements.join('; ')}; COMMIT`;
}

/** A row as JSON, without what the database cannot return as text: NUL and lone surrogates become U+FFFD. */
export function toRow(value: object): string {
  const json = JSON.stringify(value);
  return json.includes('\\u')
    ? json.replace(UNSTORABLE, (found) => (found === '\\\\' ? found : '\ufffd'))
    : json;
}
