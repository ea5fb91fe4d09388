import type { Log } from '../../shared/index.js';
import type { OpenedEngine } from '../engine.js';
import type { Connection } from './connection.js';
import type { Follower } from './follower.js';
import { foundState, load } from './load.js';
import { prepareSchema } from './schema.js';
import { storedSecret } from './secrets.js';
import { nameOf, type PostgresTarget } from './target.js';
import { PostgresUsageReader } from './usage-reader.js';
import { inWords } from './words.js';
import { HOLDER, openToWrite, PostgresWriter } from './writer.js';

/**
 * Takes the right to write for this gateway: raises `epoch` in the table `leader`, and returns it. The gateway that had it
 * is refused from then on.
 */
export type Claim = (connection: Connection) => Promise<number>;

interface PostgresOptions {
  readonly target: PostgresTarget;
  /** Used in place of the database's. */
  readonly tokenSecret?: string | undefined;
  /** Default: {@link takeOver}. */
  readonly claim?: Claim | undefined;
  /** Has the state already. Default: all is read. */
  readonly follower?: Follower | undefined;
  readonly log: Log;
}

/**
 * Opens the database, and makes the schema `patchbay` in it if there is none.
 * @throws StoreError that says what is wrong, and what to do
 */
export async function openPostgres(options: PostgresOptions): Promise<OpenedEngine> {
  const { target, claim = takeOver, follower, log } = options;
  const opened: Connection[] = [];
  try {
    const connection = await openToWrite(target);
    opened.push(connection);
    await prepareSchema(connection);
    await warnOfRisks(connection, log);
    const tokenSecret = options.tokenSecret ?? (await storedSecret(connection, 'token'));
    // From here on nobody else changes what is read below.
    const epoch = await claim(connection);
    log.info({ database: nameOf(target), epoch }, 'this gateway writes to PostgreSQL');
    const found = follower ? await follower.takeOver(connection) : foundState(await load(connection, log));
    const writer = new PostgresWriter(target, epoch, connection, log);
    const reader = new PostgresUsageReader(target, log);
    const engine = {
      tokenSecret,
      writer,
      reader,
      begin: () => undefined,
      stop: () => reader.close(),
      close: () => writer.close(),
    };
    return { engine, found };
  } catch (error) {
    for (const connection of opened) connection.destroy();
    throw inWords(error, target);
  }
}

/** Takes over from whoever writes. It waits for a commit that is under way. */
const takeOver: Claim = async (connection) => {
  const [row] = await connection.rows(
    `UPDATE leader SET epoch = epoch + 1, holder = ?, address = NULL, expires_at = NULL RETURNING epoch`,
    [HOLDER],
  );
  return Number(row?.['epoch']);
};

/** With such settings, what the gateway has answered can be lost. */
async function warnOfRisks(connection: Connection, log: Log): Promise<void> {
  const [row] = await connection.rows(
    "SELECT current_setting('fsync') AS fsync, current_setting('full_page_writes') AS full_page_writes",
  );
  const off = Object.entries(row ?? {}).flatMap(([name, value]) => (value === 'off' ? [name] : []));
  if (off.length > 0)
    log.warn(
      { off },
      'PostgreSQL may lose what it has committed when its machine fails: turn these settings on',
    );
}
