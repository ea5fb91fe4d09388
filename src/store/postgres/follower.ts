import type { Log } from '../../shared/index.js';
import type { FoundState } from '../engine.js';
import { Connection } from './connection.js';
import { changesSince, FollowedState, readChanges } from './followed-state.js';
import { foundState, load } from './load.js';
import { CHANGES_CHANNEL, prepareSchema } from './schema.js';
import type { PostgresTarget } from './target.js';
import { inWords } from './words.js';

/** After a word of a change, so long is waited for more: the leader may commit hundreds of times a second. */
const GATHER_MS = 100;
/** Without a word, it is looked so often, since a word may be lost with a connection. */
const LOOK_MS = 1_000;
/** A large change after an outage takes its time. */
const LOOK_LIMIT_MS = 30_000;

interface FollowerOptions {
  readonly target: PostgresTarget;
  readonly log: Log;
}

/**
 * Keeps the state that a standby needs up to date in memory, by reading what each transaction of the leader changed. So
 * taking over takes no time for reading all of it.
 */
export class Follower {
  readonly #options: FollowerOptions;
  #state: FollowedState;
  #connection: Connection | undefined;
  #timer: NodeJS.Timeout | undefined;
  /** When the timer is due, on the monotonic clock. */
  #dueAt = Number.POSITIVE_INFINITY;
  /** Something came while it was looking. */
  #woken = false;
  #running: Promise<void> | undefined;
  /** Since when it cannot look. */
  #failingSince: number | undefined;
  #reloads = 0;
  #lookedAt = performance.now();
  #stopped = false;

  private constructor(options: FollowerOptions, connection: Connection, state: FollowedState) {
    this.#options = options;
    this.#state = state;
    this.#listenOn(connection);
  }

  /**
   * Makes the schema if there is none, and reads everything once.
   * @throws StoreError that says what is wrong with the database
   */
  static async start(options: FollowerOptions): Promise<Follower> {
    let connection: Connection | undefined;
    try {
      connection = await openToFollow(options.target);
      await prepareSchema(connection);
      return new Follower(options, connection, await loadSnapshot(connection, options.log));
    } catch (error) {
      connection?.destroy();
      throw inWords(error, options.target);
    }
  }

  /** How far it is: the number of the last transaction that it has, and how long ago it looked, in ms. */
  health(): { readonly change: number; readonly ageMs: number; readonly reloads: number } {
    return {
      change: this.#state.change,
      ageMs: performance.now() - this.#lookedAt,
      reloads: this.#reloads,
    };
  }

  /**
   * Ends following, and gives the state away.
   * @param connection one that has the right to write already, so that nobody else changes anything any more
   */
  async takeOver(connection: Connection): Promise<FoundState> {
    await this.stop();
    await this.#look(connection);
    return foundState(this.#state.state);
  }

  /** Waits for nothing that the database would have to answer. */
  async stop(): Promise<void> {
    this.#stopped = true;
    clearTimeout(this.#timer);
    this.#connection?.destroy();
    await this.#running;
  }

  #listenOn(connection: Connection): void {
    this.#connection = connection;
    connection.onNotification(() => this.#wake());
    connection.onClosed(() => this.#wake());
    this.#lookWithin(GATHER_MS);
  }

  /** Something has changed, or the connection was lost. */
  #wake(): void {
    this.#woken = true;
    this.#lookWithin(GATHER_MS);
  }

  #lookWithin(ms: number): void {
    const dueAt = performance.now() + ms;
    if (this.#stopped || this.#running || dueAt >= this.#dueAt) return;
    clearTimeout(this.#timer);
    this.#dueAt = dueAt;
    this.#timer = setTimeout(() => {
      this.#dueAt = Number.POSITIVE_INFINITY;
      this.#woken = false;
      this.#running = this.#lookNow().finally(() => {
        this.#running = undefined;
        this.#lookWithin(this.#woken ? GATHER_MS : LOOK_MS);
      });
    }, ms);
  }

  async #lookNow(): Promise<void> {
    try {
      if (!this.#connection?.isOpen) this.#listenOn(await openToFollow(this.#options.target));
      await this.#look(this.#connection!);
      this.#succeeded();
    } catch (error) {
      // It may be within a transaction that has failed.
      this.#connection?.destroy();
      if (this.#stopped || this.#failingSince !== undefined) return;
      this.#failingSince = performance.now();
      this.#options.log.warn(
        { err: error },
        'the database cannot be followed: it is tried again each second',
      );
    }
  }

  #succeeded(): void {
    if (this.#failingSince === undefined) return;
    const seconds = Math.round((performance.now() - this.#failingSince) / 1_000);
    this.#failingSince = undefined;
    this.#options.log.info({ seconds }, 'the database is followed again');
  }

  /** Applies all changes since the last look, or reads all anew if some of the deletions are not kept any more. */
  async #look(connection: Connection): Promise<void> {
    const { log } = this.#options;
    const changes = readChanges(await connection.results(changesSince(this.#state.change), LOOK_LIMIT_MS));
    if (changes.trimmed > this.#state.change) {
      this.#state = await loadSnapshot(connection, log);
      this.#reloads += 1;
    } else this.#state.apply(changes, log);
    this.#lookedAt = performance.now();
  }
}

function openToFollow(target: PostgresTarget): Promise<Connection> {
  return Connection.open(target, { name: 'patchbay standby', setup: `LISTEN ${CHANGES_CHANNEL}` });
}

/** Reads all as it is after one transaction. */
async function loadSnapshot(connection: Connection, log: Log): Promise<FollowedState> {
  await connection.exec('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY');
  try {
    const [row] = await connection.rows('SELECT last FROM change_log');
    return new FollowedState(Number(row?.['last']), await load(connection, log));
  } finally {
    if (connection.isOpen) await connection.exec('COMMIT');
  }
}
