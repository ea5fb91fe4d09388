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

/** `JSON.stringify` writes lone surrogates and NUL as escapes; an escaped backslash is not part of one. */
const UNSTORABLE = /\\\\|\\u(?:d[89a-f][0-9a-f]{2}|0000)/g;
