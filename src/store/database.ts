import Libsql from 'libsql/promise';
import type { Log } from '../shared/index.js';

/** `JSON.stringify` writes lone surrogates and NUL as escapes; an escaped backslash is not part of one. */
const UNSTORABLE = /\\\\|\\u(?:d[89a-f][0-9a-f]{2}|0000)/g;

/** What a column of a row may hold here. */
export type SqlValue = string | number | null;
export type Row = Readonly<Record<string, SqlValue>>;

/** A prepared statement. */
export interface Statement {
  all(parameters: readonly SqlValue[]): Promise<readonly Readonly<Record<string, SqlValue | ArrayBuffer>>[]>;
}

/** The embedded database, as far as the store uses it; the library's own types say `any` all over. */
export interface Database {
  /** Runs SQL, several statements too, off this thread. */
  exec(sql: string): Promise<unknown>;
  prepare(sql: string): Promise<Statement>;
  close(): void;
}

/**
 * Opens a database file whose commits are durable: each waits for a sync of the disk.
 * @param opened gets the connection, also when this fails later on
 */
export async function openDatabase(path: string, opened: Database[] = []): Promise<Database> {
  const database = connect(path);
  opened.push(database);
  await rows(database, 'PRAGMA journal_mode = WAL');
  await rows(database, 'PRAGMA synchronous = FULL');
  // Others may look into it, and hold a lock for a moment.
  await rows(database, 'PRAGMA busy_timeout = 2000');
  return database;
}

/** A connection as it comes. */
export function connect(path: string): Database {
  return new Libsql(path, {});
}

/**
 * A column of text in a query. The library ends the process at text that is no UTF-8, which others can have written
 * and a disk can have made: all text is read as bytes, and {@link rows} makes text of them, whatever they are.
 */
export function bytesOf(column: string, expression = column): string {
  return `CAST(${expression} AS BLOB) AS ${column}`;
}

const utf8 = new TextDecoder();

/** All rows of a query. */
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

/** What a column holds as JSON. @throws Error when it is no JSON object */
export function parsed(json: SqlValue | undefined): object {
  const value: unknown = JSON.parse(String(json));
  if (typeof value !== 'object' || value === null) throw new TypeError('It is no JSON object.');
  return value;
}

/** Those of the rows of a table that can be converted: one that is damaged keeps no gateway from starting. */
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
      log.error({ err: error, table, id, participantId }, 'a row of patchbay.db is damaged, and left out');
      return [];
    }
  });
}

/** Something to be written. */
export interface Write {
  /**
   * Writes what the table `rows` holds: a JSON object in the column `value` of each row, for example
   * `INSERT INTO things SELECT value->>'id', value FROM rows`.
   */
  readonly sql: string;
  /** One row, in JSON. */
  readonly row: string;
}

/**
 * One transaction of many writes, as text: the database takes it off this thread in one piece, where values
 * bound to a statement would be handed over, and written, one after the other on it.
 */
export function transaction(writes: Iterable<Write>): string {
  const statements: string[] = [];
  let sql: string | undefined;
  let rows: string[] = [];
  const close = (): void => {
    if (sql !== undefined) statements.push(`WITH rows(value) AS (VALUES ${rows.join(', ')}) ${sql}`);
    rows = [];
  };
  // What follows one another and is alike is one statement; the order of the writes stays.
  for (const write of writes) {
    if (write.sql !== sql) close();
    sql = write.sql;
    rows.push(`('${write.row.replaceAll("'", "''")}')`);
  }
  close();
  return `BEGIN; ${statements.join('; ')}; COMMIT`;
}

/** A row as JSON that holds nothing but what the database can give back as text: no NUL, no half of a pair. */
export function toRow(value: object): string {
  const json = JSON.stringify(value);
  return json.includes('\\u')
    ? json.replace(UNSTORABLE, (found) => (found === '\\\\' ? found : '\ufffd'))
    : json;
}
