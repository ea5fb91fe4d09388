import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach } from 'vitest';
import type { PostgresServer } from '../../../test/support/postgres.js';
import type { Log } from '../../shared/index.js';
import { openStore, type Store } from '../index.js';
import { openDatabase, rows } from '../libsql/database.js';
import { postgresTarget } from '../postgres/index.js';
import { readHere } from './read-here.js';

export type EngineName = 'libsql' | 'PostgreSQL';
type OpenOptions = Partial<Parameters<typeof openStore>[0]>;

/** A store of one engine for each test, opened and closed by it. */
export class EngineStage {
  readonly engine: EngineName;
  readonly #server: () => PostgresServer;
  #dataDir = '';
  #url = '';
  #open: Store | undefined;
  logged: { readonly fields: Record<string, unknown>; readonly message: string }[] = [];

  constructor(engine: EngineName, server: () => PostgresServer) {
    this.engine = engine;
    this.#server = server;
    beforeEach(async () => {
      this.logged = [];
      this.#dataDir = await mkdtemp(join(tmpdir(), 'patchbay-engine-'));
      if (engine === 'PostgreSQL') this.#url = await server().database();
    });
    afterEach(async () => {
      await this.close();
      await rm(this.#dataDir, { recursive: true });
    });
  }

  get log(): Log {
    const note = (fields: object, message: string): void => {
      // Servers of tests sync nothing, and the gateway says so.
      if ('off' in fields) return;
      this.logged.push({ fields: fields as Record<string, unknown>, message });
    };
    return { debug: () => undefined, info: () => undefined, warn: note, error: note };
  }

  async open(options: OpenOptions = {}): Promise<Store> {
    const postgres = this.engine === 'PostgreSQL' ? postgresTarget(this.#url) : undefined;
    this.#open = await openStore({
      dataDir: this.#dataDir,
      postgres,
      usageReader: readHere,
      log: this.log,
      ...options,
    });
    return this.#open;
  }

  async close(): Promise<void> {
    await this.#open?.close();
    this.#open = undefined;
  }

  async reopen(options: OpenOptions = {}): Promise<Store> {
    await this.close();
    return this.open(options);
  }

  /** Changes the database by SQL, past the store. */
  async sql(text: string): Promise<void> {
    if (this.engine === 'PostgreSQL') {
      await this.#server().sql(`SET search_path = patchbay; ${text}`, this.#url);
      return;
    }
    const database = await openDatabase(join(this.#dataDir, 'patchbay.db'));
    await database.exec(text);
    database.close();
  }

  /** Rows of a table. */
  async count(table: string): Promise<number> {
    const sql = `SELECT count(*) AS n FROM ${table}`;
    if (this.engine === 'PostgreSQL')
      return Number((await this.#server().sql(`SET search_path = patchbay; ${sql}`, this.#url)).at(-1));
    const database = await openDatabase(join(this.#dataDir, 'patchbay.db'));
    const [row] = await rows(database, sql);
    database.close();
    return Number(row?.['n']);
  }
}
