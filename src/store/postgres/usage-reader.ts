import type { Log } from '../../shared/index.js';
import { goingDown, readFailed, Turns } from '../turns.js';
import { type ReaderJob, type ReaderResults, runJob, type UsageReader } from '../usage-queries.js';
import { Connection } from './connection.js';
import type { PostgresTarget } from './target.js';

/** Reports at once. More would take the server from the commits. */
const MAX_CONNECTIONS = 2;
/** A report that takes longer is given up, so that others get their turn. */
const LIMIT_MS = 120_000;
/** How long a connection is kept without work. */
const IDLE_MS = 30_000;

interface Waiting {
  readonly job: ReaderJob;
  readonly resolve: (found: never) => void;
  readonly reject: (error: Error) => void;
}

/** Reads usage on connections of its own, so that no report delays a commit. They are opened when they are needed. */
export class PostgresUsageReader implements UsageReader {
  readonly #target: PostgresTarget;
  readonly #log: Log;
  readonly #waiting = new Turns<Waiting>();
  readonly #all = new Set<Connection>();
  readonly #idle: Connection[] = [];
  #busy = 0;
  #timer: NodeJS.Timeout | undefined;
  #closed = false;

  constructor(target: PostgresTarget, log: Log) {
    this.#target = target;
    this.#log = log;
  }

  read<K extends ReaderJob['kind']>(
    owner: string,
    job: ReaderJob & { readonly kind: K },
  ): Promise<ReaderResults[K]> {
    if (this.#closed) return Promise.reject(goingDown());
    return new Promise((resolve, reject) => {
      this.#waiting.add(owner, { job, resolve, reject });
      this.#next();
    });
  }

  close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#timer);
    for (const { reject } of this.#waiting.clear()) reject(goingDown());
    for (const connection of this.#all) connection.destroy();
    return Promise.resolve();
  }

  /** Gives free connections to those whose turn it is. */
  #next(): void {
    while (this.#busy < MAX_CONNECTIONS) {
      const next = this.#waiting.next();
      if (!next) return;
      this.#busy += 1;
      clearTimeout(this.#timer);
      void this.#serve(next.owner, next.job).finally(() => {
        this.#waiting.done(next.owner);
        this.#busy -= 1;
        this.#next();
        if (this.#busy === 0) this.#timer = setTimeout(() => this.#closeIdle(), IDLE_MS).unref();
      });
    }
  }

  async #serve(owner: string, { job, resolve, reject }: Waiting): Promise<void> {
    let connection: Connection | undefined;
    try {
      connection = this.#idle.pop() ?? (await this.#open());
      const found = await runJob(usageOn(connection), job);
      this.#idle.push(connection);
      resolve(found as never);
    } catch (error) {
      connection?.destroy();
      if (this.#closed) {
        reject(goingDown());
        return;
      }
      this.#log.error({ err: error, job: job.kind, account: owner }, 'usage could not be read');
      reject(readFailed());
    }
  }

  async #open(): Promise<Connection> {
    const connection = await Connection.open(this.#target, {
      name: 'patchbay reports',
      setup: `SET default_transaction_read_only = on; SET statement_timeout = ${LIMIT_MS}`,
    });
    this.#all.add(connection);
    connection.onClosed(() => this.#forget(connection));
    if (this.#closed) connection.destroy();
    return connection;
  }

  #forget(connection: Connection): void {
    this.#all.delete(connection);
    const at = this.#idle.indexOf(connection);
    if (at >= 0) this.#idle.splice(at, 1);
  }

  #closeIdle(): void {
    for (const connection of this.#idle.splice(0)) void connection.end();
  }
}

function usageOn(connection: Connection) {
  return {
    rows: (sql: string, parameters?: Parameters<Connection['rows']>[1]) =>
      connection.rows(sql, parameters, LIMIT_MS),
    text: (column: string, expression = column) => `${expression} AS ${column}`,
    words: { position: 'strpos', greatest: 'greatest' },
  };
}
