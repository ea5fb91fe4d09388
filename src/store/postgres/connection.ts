import { readFile } from 'node:fs/promises';
import { Socket } from 'node:net';
import pg from 'pg';
import type { Row, SqlValue } from '../rows.js';
import type { PostgresTarget } from './target.js';

/** How long connecting may take, name resolution, TLS and password included. */
const CONNECT_LIMIT_MS = 5_000;
const KEEP_ALIVE_MS = 10_000;
/** Types whose values become numbers: int8, int2, int4, float8, numeric. All else stays text, JSON included. */
const NUMBERS = [20, 21, 23, 701, 1700];
const types = {
  getTypeParser: (type: number) => (NUMBERS.includes(type) ? Number : (text: string) => text),
};

/** The server took too long: the connection is closed then, and what was asked may be done or not. */
class TooSlowError extends Error {
  override readonly name = 'TooSlowError';
}

interface ConnectionOptions {
  /** What the operator sees in `pg_stat_activity`. */
  readonly name: string;
  /** Statements that set up the session. */
  readonly setup?: string;
}

/** One connection to PostgreSQL. The library's own types use `any` everywhere. */
export class Connection {
  readonly #client: pg.Client;
  readonly #socket: Socket;
  #open = true;

  private constructor(client: pg.Client, socket: Socket) {
    this.#client = client;
    this.#socket = socket;
    // What was under way has failed with the same error; without a listener the process would end.
    client.on('error', () => this.destroy());
    client.on('end', () => (this.#open = false));
  }

  /** @throws Error of the network, of TLS or of PostgreSQL (with a SQLSTATE as `code`) */
  static async open(target: PostgresTarget, { name, setup = '' }: ConnectionOptions): Promise<Connection> {
    const socket = new Socket();
    const client = new pg.Client({
      host: target.host,
      port: target.port,
      user: target.user,
      // A function, so that an absent one is not taken from elsewhere, such as a file in the home folder.
      password: () => target.password ?? '',
      database: target.database,
      ssl: await tlsOptions(target),
      application_name: name,
      keepAlive: true,
      keepAliveInitialDelayMillis: KEEP_ALIVE_MS,
      stream: () => socket,
      types,
    });
    const connection = new Connection(client, socket);
    try {
      await connection.#within(CONNECT_LIMIT_MS, client.connect());
      await connection.exec(
        `SET standard_conforming_strings = on; SET search_path = patchbay, pg_catalog; ${setup}`,
      );
    } catch (error) {
      connection.destroy();
      throw error;
    }
    return connection;
  }

  get isOpen(): boolean {
    return this.#open;
  }

  /** Runs SQL text of one or more statements, and returns nothing. */
  async exec(sql: string, limitMs = CONNECT_LIMIT_MS): Promise<void> {
    await this.#within(limitMs, this.#client.query(sql));
  }

  /** @param sql one statement, with a `?` for each parameter */
  async rows(
    sql: string,
    parameters: readonly SqlValue[] = [],
    limitMs = CONNECT_LIMIT_MS,
  ): Promise<readonly Row[]> {
    let place = 0;
    const text = sql.replaceAll('?', () => `$${(place += 1)}`);
    const { rows } = await this.#within(limitMs, this.#client.query<Row>(text, [...parameters]));
    return rows;
  }

  /** Runs SQL text of several statements. @returns the rows of each */
  async results(sql: string, limitMs: number): Promise<readonly (readonly Row[])[]> {
    const results: unknown = await this.#within(limitMs, this.#client.query(sql));
    return (results as readonly pg.QueryResult<Row>[]).map(({ rows }) => rows);
  }

  /** Calls back once when it is closed, by whomever, and at once when it is already. */
  onClosed(listener: () => void): void {
    if (this.#open) this.#client.once('end', listener);
    else listener();
  }

  /** Calls back at each `NOTIFY` of a channel that this connection listens on. */
  onNotification(listener: () => void): void {
    this.#client.on('notification', listener);
  }

  /** Closes it in order. */
  async end(): Promise<void> {
    if (!this.#open) return;
    await this.#within(CONNECT_LIMIT_MS, this.#client.end()).catch(() => this.destroy());
  }

  /** Closes it at once, whatever is under way and whether or not the server still answers. */
  destroy(): void {
    this.#open = false;
    this.#socket.destroy();
  }

  /** @throws TooSlowError after closing the connection: what it still brought would belong to nobody */
  async #within<T>(limitMs: number, work: Promise<T>): Promise<T> {
    let timer: NodeJS.Timeout | undefined;
    const tooSlow = new Promise<never>((_resolve, reject) => {
      timer = setTimeout(() => {
        reject(new TooSlowError(`PostgreSQL did not answer within ${limitMs} ms.`));
        this.destroy();
      }, limitMs);
    });
    try {
      return await Promise.race([work, tooSlow]);
    } finally {
      clearTimeout(timer);
    }
  }
}

async function tlsOptions({ tls, host, caFile }: PostgresTarget) {
  if (tls === 'disable') return false;
  if (tls === 'require') return { rejectUnauthorized: false };
  const ca = caFile === undefined ? {} : { ca: await readFile(caFile, 'utf8') };
  // The name or the address that the certificate must have.
  return { rejectUnauthorized: true, host, ...ca };
}
