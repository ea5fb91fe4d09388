import { StoreError } from './engine.js';
import { type MovedFolder, openToMove } from './libsql/index.js';
import { MOVED_TABLES, type MovedTable } from './moved-tables.js';
import { openToReceive, type PostgresTarget, type Receiver } from './postgres/index.js';
import { parsed, type Row } from './rows.js';
import { toRow } from './writes.js';

interface MoveOptions {
  readonly dataDir: string;
  readonly target: PostgresTarget;
  /** The gateway is given the token secret, and the one in the folder is not used. */
  readonly hasSecret: boolean;
}

/** What was moved of each table. */
export interface Moved {
  readonly table: string;
  readonly rows: number;
  /** Rows that the gateway could not read, either. */
  readonly damaged: number;
}

/**
 * Copies the database of a data folder into PostgreSQL, with the token secret: all of it, or nothing. The folder stays as
 * it is. No gateway may use either of them.
 * @throws StoreError that says what is wrong; nothing is in PostgreSQL then
 */
export async function moveToPostgres({ dataDir, target, hasSecret }: MoveOptions): Promise<readonly Moved[]> {
  const folder = await openToMove(dataDir);
  try {
    if (folder.tokenSecret === undefined && !hasSecret) {
      throw new StoreError(
        `${dataDir} has no token-secret, which sealed what is in its database: restore that file, or set PATCHBAY_TOKEN_SECRET as the gateway had it.`,
      );
    }
    const receiver = await openToReceive(target);
    try {
      if (folder.tokenSecret !== undefined) await receiver.saveSecret(folder.tokenSecret);
      const moved: Moved[] = [];
      for (const table of MOVED_TABLES) moved.push(await move(table, folder, receiver));
      await receiver.commit();
      return moved;
    } finally {
      await receiver.close();
    }
  } finally {
    await folder.close();
  }
}

async function move(table: MovedTable, folder: MovedFolder, receiver: Receiver): Promise<Moved> {
  let damaged = 0;
  for await (const slice of folder.slices(table)) {
    const rows = slice.flatMap((row) => movable(table, row) ?? []);
    damaged += slice.length - rows.length;
    if (rows.length > 0) await receiver.save(table, rows);
  }
  const [there, here] = [await folder.count(table), await receiver.count(table)];
  if (there - damaged !== here)
    throw new StoreError(`${table.name}: of ${there - damaged} rows ${here} arrived; nothing was moved.`);
  return { table: table.name, rows: here, damaged };
}

/** A row as JSON, without columns of other uses; undefined for one that is damaged. */
function movable({ keys, texts, numbers, documents }: MovedTable, row: Row): string | undefined {
  // An id with bytes that are not UTF-8 is none of the gateway's.
  if (keys.length === 1 && String(row[keys[0]!]).includes('\ufffd')) return undefined;
  const values = [...texts, ...numbers].map((column) => [column, row[column]]);
  try {
    return toRow(
      Object.fromEntries([...values, ...documents.map((column) => [column, parsed(row[column])])]) as object,
    );
  } catch {
    return undefined;
  }
}
