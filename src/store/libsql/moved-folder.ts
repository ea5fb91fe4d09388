import { stat } from 'node:fs/promises';
import type { MovedTable } from '../moved-tables.js';
import type { Row, SqlValue } from '../rows.js';
import { databaseIn, DataFolderError, inWords, lockFolder } from './data-folder.js';
import { bytesOf, connect, rows } from './database.js';
import { SCHEMA_VERSION, schemaVersion } from './schema.js';
import { storedSecret } from './token-secret.js';

const SLICE = 1_000;

/** The tables of a data folder that no gateway uses, to be read as a whole. */
export interface MovedFolder {
  /** Undefined if there is none in the folder. */
  readonly tokenSecret: string | undefined;
  count(table: MovedTable): Promise<number>;
  slices(table: MovedTable): AsyncIterable<readonly Row[]>;
  close(): Promise<void>;
}

/**
 * Locks a data folder and opens its database, which is not changed.
 * @throws DataFolderError when a gateway uses it, it is damaged, or another version of the gateway wrote it
 */
export async function openToMove(dataDir: string): Promise<MovedFolder> {
  const path = databaseIn(dataDir);
  try {
    await stat(path);
  } catch (error) {
    throw inWords(error, path);
  }
  const lock = await lockFolder(dataDir);
  const database = connect(path);
  const close = async (): Promise<void> => {
    database.close();
    await lock.release();
  };
  try {
    await rows(database, 'PRAGMA query_only = ON');
    const [found] = await rows(database, 'PRAGMA quick_check(1)');
    if (found?.['quick_check'] !== 'ok')
      throw new DataFolderError(`${path} is damaged: ${String(found?.['quick_check'])}`);
    const version = await schemaVersion(database);
    if (version !== SCHEMA_VERSION) {
      throw new DataFolderError(
        `${path} has schema version ${version}, and ${SCHEMA_VERSION} is what this version of the gateway moves: start and stop it once with this folder, without PATCHBAY_STORE.`,
      );
    }
    return {
      tokenSecret: await storedSecret(dataDir),
      close,
      count: async ({ name }) => {
        const [row] = await rows(database, `SELECT count(*) AS n FROM ${name}`);
        return Number(row?.['n']);
      },
      async *slices({ name, keys, texts, numbers, documents }) {
        // Keys are compared in hexadecimal, since they may hold bytes that are not UTF-8.
        const columns = [
          ...[...texts, ...documents].map((column) => bytesOf(column)),
          ...numbers,
          ...keys.map((key) => `hex(${key}) AS hex_${key}`),
        ];
        const order = keys.map((key) => `${name}.${key}`).join(', ');
        for (let last: Row | undefined; ;) {
          const places = keys.map(() => 'CAST(unhex(?) AS TEXT)').join(', ');
          const slice = await rows(
            database,
            `SELECT ${columns.join(', ')} FROM ${name} ${last ? `WHERE (${order}) > (${places})` : ''}
             ORDER BY ${order} LIMIT ${SLICE}`,
            last ? keys.map((key): SqlValue => last![`hex_${key}`]!) : [],
          );
          if (slice.length > 0) yield slice;
          if (slice.length < SLICE) return;
          last = slice.at(-1);
        }
      },
    };
  } catch (error) {
    await close();
    throw inWords(error, path);
  }
}
