import type { CoreStore } from '../core/index.js';
import type { UsageStore } from '../usage/index.js';
import type { Log } from '../shared/index.js';
import { CallTables } from './call-tables.js';
import { CoreTables } from './core-tables.js';
import { EdgeTables } from './edge-tables.js';
import type { OpenedEngine } from './engine.js';
import { type FolderLock, lockFolder, openLibsql, prepareFolder } from './libsql/index.js';
import { type Claim, type Follower, openPostgres, type PostgresTarget } from './postgres/index.js';
import { ProgramTables } from './program-tables.js';
import type { UsageReader } from './usage-queries.js';
import { UsageTables } from './usage-tables.js';
import { type StoreHealth, WriteQueue } from './write-queue.js';

/** Everything that survives a restart. */
export interface Store {
  /** Signs participant tokens; made at the first start. */
  readonly tokenSecret: string;
  readonly core: CoreStore;
  readonly usage: UsageStore;
  /** Calls of all edges. */
  readonly calls: CallTables;
  readonly programs: ProgramTables;
  /** What the leader must know of the gateways that it leads. */
  readonly edges: EdgeTables;
  /** Whether it can write, and when the last copy was made (epoch ms), if one was. */
  health(): StoreHealth & { readonly backedUpAt: number | undefined };
  /** Resolves when everything saved so far is in the database. @throws Error when it could not be written */
  flush(): Promise<void>;
  /** Writes what is left and unlocks the data folder. */
  close(): Promise<void>;
}

export interface StoreOptions {
  readonly dataDir: string;
  /** How long to wait for another process that has the data folder, in ms. Default: not at all. */
  readonly lockWaitMs?: number;
  /** The caller has locked the data folder ({@link lockDataFolder}), and unlocks it. */
  readonly isLocked?: boolean;
  /** How many hourly copies of the database are kept in the data folder. Default: none are made. */
  readonly backups?: number;
  /** Used in place of the stored one, which is then neither made nor read. */
  readonly tokenSecret?: string | undefined;
  /** Makes the reader of usage for a database file. Default: a separate process. */
  readonly usageReader?: (path: string) => UsageReader;
  /** The database is there, and not in the data folder. */
  readonly postgres?: PostgresTarget | undefined;
  /** How the right to write to PostgreSQL is taken. Default: from whoever has it. */
  readonly claim?: Claim;
  /** Has followed the database as a standby: its state is taken, and nothing is read again. */
  readonly follower?: Follower;
  /** Called when another gateway has taken over the database: nothing is written any more, and this one must end. */
  readonly onDeposed?: () => void;
  readonly log: Log;
}

/**
 * Opens the store of a data folder, and makes the folder if there is none: one process at a time can have it open. With
 * PostgreSQL, the folder is locked as well, since it has what belongs to one machine.
 * @throws StoreError that says what is wrong, and what to do
 */
export async function openStore(options: StoreOptions): Promise<Store> {
  const lock = options.isLocked
    ? { release: () => Promise.resolve() }
    : await lockDataFolder(options.dataDir, options.lockWaitMs);
  try {
    const { postgres: target } = options;
    const opened =
      target === undefined
        ? await openLibsql({ backups: 0, ...options })
        : await openPostgres({ ...options, target });
    return storeOn(opened, lock, options);
  } catch (error) {
    await lock.release();
    throw error;
  }
}

/**
 * Locks a data folder, and makes it if there is none: one process at a time has it.
 * @param waitMs how long to wait for another process
 * @throws StoreError that says what is wrong, and what to do
 */
export async function lockDataFolder(dataDir: string, waitMs?: number): Promise<FolderLock> {
  await prepareFolder(dataDir);
  return lockFolder(dataDir, waitMs);
}

function storeOn({ engine, found }: OpenedEngine, lock: FolderLock, options: StoreOptions): Store {
  const { log, onDeposed } = options;
  const queue = new WriteQueue(engine.writer, log, onDeposed);
  const usage = new UsageTables(found, engine.reader, queue);
  const { tokenSecret } = engine;
  const store: Store = {
    tokenSecret,
    core: new CoreTables(found.core, queue),
    usage,
    calls: new CallTables(found.calls, tokenSecret, queue, log),
    programs: new ProgramTables(found.programs, tokenSecret, queue, log),
    edges: new EdgeTables(found.edges, queue),
    health: () => ({ ...queue.health, backedUpAt: engine.backedUpAt?.() }),
    flush: () => queue.flush(),
    close: async () => {
      usage.stop();
      await engine.stop();
      await queue.stop();
      await engine.close();
      await lock.release();
    },
  };
  engine.begin(() => queue.flush());
  return store;
}
