import { StoreError } from '../engine.js';
import { MOVED_TABLES, type MovedTable } from '../moved-tables.js';
import { quoted } from '../writes.js';
import type { Connection } from './connection.js';
import { CHANGES_CHANNEL, prepareSchema } from './schema.js';
import { nameOf, type PostgresTarget } from './target.js';
import { inWords } from './words.js';
import { openToWrite } from './writer.js';

/** How long one slice, or the commit of all, may take. */
const SLICE_LIMIT_MS = 120_000;

/** A database that takes what another engine had: all of it or, if {@link commit} is not reached, nothing. */
export interface Receiver {
  saveSecret(tokenSecret: string): Promise<void>;
  /** @param rows each a JSON object with the columns of the table */
  save(table: MovedTable, rows: readonly string[]): Promise<void>;
  count(table: MovedTable): Promise<number>;
  commit(): Promise<void>;
  close(): Promise<void>;
}

/**
 * Opens a database that no gateway has used yet, and keeps gateways away from it.
 * @throws StoreError when a gateway has used it, or it cannot be used
 */
export async function openToReceive(target: PostgresTarget): Promise<Receiver> {
  let connection: Connection | undefined;
  try {
    connection = await openToWrite(target);
    await prepareSchema(connection);
    await connection.exec('BEGIN');
    await refuseUsed(connection, target);
    // Standbys that follow already see what comes.
    await connection.exec('UPDATE change_log SET last = last + 1');
    return receiverOn(connection);
  } catch (error) {
    connection?.destroy();
    throw inWords(error, target);
  }
}

/** Each gateway raises the epoch, so that one that only began is seen, too. Until the end of the transaction none can. */
async function refuseUsed(connection: Connection, target: PostgresTarget): Promise<void> {
  const [leader] = await connection.rows('SELECT epoch FROM leader FOR UPDATE');
  const filled = ['secrets', ...MOVED_TABLES.map(({ name }) => name)].map(
    (name) => `EXISTS (SELECT 1 FROM ${name})`,
  );
  const [rows] = await connection.rows(`SELECT (${filled.join(' OR ')})::int AS filled`);
  if (leader?.['epoch'] === 0 && rows?.['filled'] === 0) return;
  throw new StoreError(
    `PATCHBAY_STORE: a gateway has used ${nameOf(target)} already, and nothing is put over what is there. If nobody needs ` +
      'that: stop its gateways, and remove it (DROP SCHEMA patchbay CASCADE).',
  );
}

function receiverOn(connection: Connection): Receiver {
  return {
    saveSecret: async (tokenSecret) => {
      await connection.rows("INSERT INTO secrets VALUES ('token', ?)", [tokenSecret]);
    },
    save: ({ name, texts, numbers, documents }, rows) => {
      const values = [
        ...texts.map((column) => `value->>'${column}'`),
        ...numbers.map((column) => `(value->>'${column}')::bigint`),
        ...documents.map((column) => `value->'${column}'`),
      ];
      return connection.exec(
        `INSERT INTO ${name} (${[...texts, ...numbers, ...documents, 'change'].join(', ')})
         SELECT ${values.join(', ')}, (SELECT last FROM change_log)
         FROM json_array_elements(${quoted(`[${rows.join(',')}]`)})`,
        SLICE_LIMIT_MS,
      );
    },
    count: async ({ name }) => {
      const [row] = await connection.rows(`SELECT count(*) AS n FROM ${name}`, [], SLICE_LIMIT_MS);
      return Number(row?.['n']);
    },
    commit: () => connection.exec(`NOTIFY ${CHANGES_CHANNEL}; COMMIT`, SLICE_LIMIT_MS),
    close: () => connection.end(),
  };
}
