import { setTimeout as pause } from 'node:timers/promises';
import type { Log } from '../../shared/index.js';
import { StoreError } from '../engine.js';
import { Connection } from './connection.js';
import type { Claim } from './engine.js';
import { prepareSchema } from './schema.js';
import type { PostgresTarget } from './target.js';
import { inWords } from './words.js';

/** Without a renewal, another gateway may take the lease after so long. Measured by the database's clock. */
const LEASE_MS = 2_000;
const RENEW_MS = 500;
/** A renewal that takes longer has failed, and its connection is closed. */
const RENEW_LIMIT_MS = 1_500;
/** How often a standby looks whether the lease is free. It is told as well when the leader stops. */
const LOOK_MS = 200;
const RETRY_MS = 1_000;
/** After the database was away, its leader has so long to renew the lease before others may take it. */
const BACK_MS = 1_500;
const CHANNEL = 'patchbay_leader';

/** Another gateway was faster. */
export class LeaseTakenError extends StoreError {
  override readonly name = 'LeaseTakenError';
}

interface LeaseOptions {
  readonly target: PostgresTarget;
  /** Names this gateway, the same over restarts: after a death it need not wait for its own lease to end. */
  readonly holder: string;
  /** Where other gateways reach this one once it is the leader: `host:port`. Default: nowhere. */
  readonly address?: string | undefined;
  /** Another gateway has the lease: this one must end at once. */
  readonly onDeposed: () => void;
  readonly log: Log;
}

/** Who has the lease. */
interface PresentLeader {
  readonly epoch: number;
  readonly holder: string;
  /** Where other gateways reach it; absent: nowhere. */
  readonly address?: string;
}

/**
 * The right of one gateway to be the leader, for as long as it renews it: the row of the table `leader`. Who takes it
 * raises the epoch, and the database refuses what the one before still writes.
 */
export class Lease {
  readonly #options: LeaseOptions;
  #connection: Connection | undefined;
  #connecting: Promise<Connection> | undefined;
  readonly #listeners = new Set<() => void>();
  #epoch = 0;
  #heldUntil = 0;
  #timer: NodeJS.Timeout | undefined;
  #renewing: Promise<void> | undefined;
  #isFailing = false;
  /** When the database could be reached again, on the monotonic clock. */
  #backAt = -Infinity;
  #isReleased = false;
  #isClosed = false;
  #wake: (() => void) | undefined;

  private constructor(options: LeaseOptions, connection: Connection) {
    this.#options = options;
    this.#take(connection);
  }

  /** @throws StoreError that says what is wrong with the database */
  static async open(options: LeaseOptions): Promise<Lease> {
    let connection: Connection | undefined;
    try {
      connection = await open(options.target);
      await prepareSchema(connection);
      return new Lease(options, connection);
    } catch (error) {
      connection?.destroy();
      throw inWords(error, options.target);
    }
  }

  /** Of this leader; 0 before it has the lease. */
  get epoch(): number {
    return this.#epoch;
  }

  /** Whether nobody else can be the leader now. */
  get isHeld(): boolean {
    return performance.now() < this.#heldUntil;
  }

  /** Who has the lease now; undefined when it is free, or this gateway's own. */
  async holder(): Promise<string | undefined> {
    const leader = await this.leader();
    return leader?.holder === this.#options.holder ? undefined : leader?.holder;
  }

  /** Who has the lease now, this gateway included; undefined when it is free. */
  async leader(): Promise<PresentLeader | undefined> {
    const [row] = await (
      await this.#connected()
    ).rows(`SELECT epoch, holder, address FROM leader WHERE expires_at > now()`);
    if (!row) return undefined;
    const { epoch, holder, address } = row;
    const where = address === null || address === undefined ? {} : { address: String(address) };
    return { epoch: Number(epoch), holder: String(holder), ...where };
  }

  /**
   * Calls back when {@link leader} may have changed; also after the database was away, when nobody could tell.
   * @returns what ends that
   */
  onLeader(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  /**
   * Resolves when the lease is free. The database may be away meanwhile: then its leader has a moment to renew the lease, which
   * has ended by the database's clock, since another leader would change much for nothing.
   * @throws the signal's reason
   */
  async whenFree(signal: AbortSignal): Promise<void> {
    for (;;) {
      signal.throwIfAborted();
      let waitMs = LOOK_MS;
      try {
        const isFree = (await this.holder()) === undefined;
        this.#succeeded();
        if (isFree && performance.now() - this.#backAt >= BACK_MS) return;
      } catch (error) {
        this.#failed(error, 'The lease of the leader cannot be read: it is tried again each second.');
        waitMs = RETRY_MS;
      }
      await Promise.race([
        pause(waitMs, undefined, { signal }).catch(() => undefined),
        new Promise<void>((resolve) => (this.#wake = resolve)),
      ]);
    }
  }

  /** Takes the lease. @throws LeaseTakenError when it is not free */
  readonly claim: Claim = async (connection) => {
    const askedAt = performance.now();
    const [row] = await connection.rows(
      `UPDATE leader SET epoch = epoch + 1, holder = ?, address = ?, expires_at = now() + interval '${LEASE_MS} ms'
       WHERE expires_at IS NULL OR expires_at < now() OR holder = ? RETURNING epoch`,
      [this.#options.holder, this.#options.address ?? null, this.#options.holder],
    );
    if (!row) throw new LeaseTakenError('Another gateway has the lease of the leader.');
    await connection.exec(`NOTIFY ${CHANNEL}`);
    this.#epoch = Number(row['epoch']);
    this.#heldUntil = askedAt + LEASE_MS;
    this.#renewSoon();
    return this.#epoch;
  };

  /** Lets another gateway take it at once. To be called when nothing is written any more. */
  async release(): Promise<void> {
    this.#isReleased = true;
    clearTimeout(this.#timer);
    await this.#renewing;
    this.#heldUntil = 0;
    this.#isClosed = true;
    this.#listeners.clear();
    await this.#connecting?.catch(() => undefined);
    const connection = this.#connection;
    if (connection?.isOpen && this.#epoch > 0) {
      try {
        await connection.rows('UPDATE leader SET expires_at = NULL WHERE epoch = ?', [this.#epoch]);
        await connection.exec(`NOTIFY ${CHANNEL}`);
      } catch (error) {
        this.#options.log.warn(
          { err: error },
          'The lease of the leader could not be given back: it ends by itself.',
        );
      }
    }
    await connection?.end();
  }

  #renewSoon(): void {
    if (this.#isReleased) return;
    this.#timer = setTimeout(() => {
      this.#renewing = this.#renew().then(() => this.#renewSoon());
    }, RENEW_MS);
  }

  /** While the database is away nobody else can take the lease either: this goes on, and the leader with it. */
  async #renew(): Promise<void> {
    const askedAt = performance.now();
    try {
      const [row] = await (
        await this.#connected()
      ).rows(
        `UPDATE leader SET expires_at = now() + interval '${LEASE_MS} ms' WHERE epoch = ? RETURNING epoch`,
        [this.#epoch],
        RENEW_LIMIT_MS,
      );
      this.#succeeded();
      if (row) this.#heldUntil = askedAt + LEASE_MS;
      else {
        this.#isReleased = true;
        this.#heldUntil = 0;
        this.#options.onDeposed();
      }
    } catch (error) {
      this.#failed(error, 'The lease of the leader cannot be renewed: it is tried again.');
    }
  }

  async #connected(): Promise<Connection> {
    if (this.#connection?.isOpen) return this.#connection;
    if (this.#isClosed) throw new StoreError('The lease of the leader was given back.');
    // Whoever else asks meanwhile waits for the same one.
    this.#connecting ??= open(this.#options.target)
      .then((connection) => {
        this.#take(connection);
        return connection;
      })
      .finally(() => (this.#connecting = undefined));
    return this.#connecting;
  }

  #take(connection: Connection): void {
    this.#connection = connection;
    connection.onNotification(() => this.#changed());
    this.#changed();
  }

  #changed(): void {
    this.#wake?.();
    for (const listener of this.#listeners) listener();
  }

  #failed(error: unknown, words: string): void {
    this.#connection?.destroy();
    if (this.#isFailing) return;
    this.#isFailing = true;
    this.#options.log.warn({ err: error }, words);
  }

  #succeeded(): void {
    if (!this.#isFailing) return;
    this.#isFailing = false;
    this.#backAt = performance.now();
    this.#options.log.info({}, 'The lease of the leader can be reached again.');
  }
}

function open(target: PostgresTarget): Promise<Connection> {
  return Connection.open(target, { name: 'patchbay lease', setup: `LISTEN ${CHANNEL}` });
}
