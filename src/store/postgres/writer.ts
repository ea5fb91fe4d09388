import { hostname } from 'node:os';
import type { Log } from '../../shared/index.js';
import { DeposedError, type Writer } from '../engine.js';
import type { Write } from '../writes.js';
import { Connection } from './connection.js';
import { NOT_ADMITTED } from './schema.js';
import { transaction } from './statements.js';
import { nameOf, type PostgresTarget } from './target.js';

/** A commit that takes longer has failed for this gateway: its connection is closed. */
const COMMIT_LIMIT_MS = 5_000;
/** A large one may take longer, by so much for each write, and for each character. */
const MS_FOR_WRITE = 1;
const MS_FOR_CHARACTER = 0.001;
/** So that a backend that waits in vain is gone before the next one comes. */
const LOCK_LIMIT_MS = 4_000;

/** Who changes the lease row. */
export const HOLDER = `${hostname()}:${process.pid}`;

/** Opens a connection that writes. Commits are durable, even if the server's own setting says otherwise. */
export function openToWrite(target: PostgresTarget): Promise<Connection> {
  return Connection.open(target, {
    name: 'patchbay writer',
    setup: `SET lock_timeout = ${LOCK_LIMIT_MS}; SET default_transaction_isolation = 'read committed';
      SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'`,
  });
}

/**
 * Commits on one connection at a time, and opens another when it is lost. Each connection takes a new generation, which
 * waits for what an older one still commits and shuts that out afterwards. So what an older connection does late never
 * undoes what a newer one has done.
 *
 * When a connection breaks after COMMIT was sent and before its answer, the writes may be done or not. They are kept and
 * written again: each holds the whole new state of its item, so that doing it twice is doing it once.
 */
export class PostgresWriter implements Writer {
  readonly advice = 'Check PostgreSQL (PATCHBAY_STORE)';
  readonly #target: PostgresTarget;
  readonly #epoch: number;
  readonly #log: Log;
  #connection: Connection | undefined;
  #generation = 0;

  /** @param connection the first one */
  constructor(target: PostgresTarget, epoch: number, connection: Connection, log: Log) {
    this.#target = target;
    this.#epoch = epoch;
    this.#log = log;
    this.#connection = connection;
  }

  async commit(writes: Iterable<Write>): Promise<void> {
    const connection = await this.#admitted();
    const all = [...writes];
    const sql = transaction(all, { epoch: this.#epoch, generation: this.#generation });
    try {
      await connection.exec(sql, COMMIT_LIMIT_MS + all.length * MS_FOR_WRITE + sql.length * MS_FOR_CHARACTER);
    } catch (error) {
      // What of the text follows the error was skipped, and the transaction is open.
      if (connection.isOpen) await connection.exec('ROLLBACK').catch(() => connection.destroy());
      if (isNotAdmitted(error)) throw deposed(error);
      throw error;
    }
  }

  probe(): Promise<void> {
    return this.commit([]);
  }

  async close(): Promise<void> {
    await this.#connection?.end();
  }

  /** A connection with the newest generation. */
  async #admitted(): Promise<Connection> {
    if (this.#connection?.isOpen && this.#generation > 0) return this.#connection;
    if (!this.#connection?.isOpen) {
      this.#connection = await openToWrite(this.#target);
      this.#generation = 0;
      this.#log.info({ database: nameOf(this.#target) }, 'the connection to PostgreSQL is there again');
    }
    const [row] = await this.#connection.rows(
      'UPDATE leader SET generation = generation + 1 WHERE epoch = ? RETURNING generation',
      [this.#epoch],
    );
    if (!row) throw deposed();
    this.#generation = Number(row['generation']);
    return this.#connection;
  }
}

function isNotAdmitted(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === NOT_ADMITTED;
}

function deposed(cause?: unknown): DeposedError {
  return new DeposedError('Another gateway has taken over the database of PATCHBAY_STORE.', { cause });
}
