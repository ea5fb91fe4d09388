import type { StoredEdge } from '../cluster/index.js';
import type { StoredState } from '../core/index.js';
import type { KeptRecord, Webhook } from '../usage/index.js';
import type { SealedRow } from './seal.js';
import type { UsageReader } from './usage-queries.js';
import type { Write } from './writes.js';

/** The store cannot be used; the message names what, what is wrong with it, and what to do. */
export class StoreError extends Error {
  override readonly name: string = 'StoreError';
}

/** Another gateway has taken the database over: this one may never write again. */
export class DeposedError extends Error {
  override readonly name = 'DeposedError';
}

/** What is written to. */
export interface Writer {
  /** Where the operator looks when it cannot write, for the log. */
  readonly advice: string;
  /**
   * Writes all, or nothing, durably. One commit at a time.
   * @throws DeposedError when it never can again
   */
  commit(writes: Iterable<Write>): Promise<void>;
  /** Writes, but changes nothing: fails as long as commits would. */
  probe(): Promise<void>;
}

/** All that was stored, as it is found at the start. */
export interface FoundState {
  readonly core: StoredState;
  readonly calls: readonly SealedRow[];
  readonly programs: readonly SealedRow[];
  readonly edges: readonly StoredEdge[];
  /** Without an end. */
  readonly openRecords: readonly KeptRecord[];
  /** Oldest first. */
  readonly webhooks: readonly Webhook[];
}

/** A database, opened for this gateway alone: what the store needs of it. */
export interface Engine {
  readonly tokenSecret: string;
  readonly writer: Writer;
  readonly reader: UsageReader;
  /** When the last copy was made, in epoch ms. Absent where copies are none of the gateway's business. */
  readonly backedUpAt?: () => number | undefined;
  /**
   * Begins what the engine does by itself, such as copies.
   * @param flush resolves when everything saved so far is in the database
   */
  begin(flush: () => Promise<void>): void;
  /** Ends what {@link begin} began, and reading. Writing goes on until {@link close}. */
  stop(): Promise<void>;
  close(): Promise<void>;
}

/** An engine with what it found. The state is apart, so that nobody keeps a second copy of it. */
export interface OpenedEngine {
  readonly engine: Engine;
  readonly found: FoundState;
}
