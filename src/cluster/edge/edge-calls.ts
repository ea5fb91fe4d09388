import type { CallRecord, FromEdge } from '../messages.js';

/** Changes that are kept while the leader does not say that they are on disk. A record of a call replaces the one before. */
const MAX_KEPT = 20_000;

interface EdgeCallsParts {
  readonly tell: (message: FromEdge) => void;
  /** Asks for a page of the records that the leader has, as soon as there is a leader. */
  readonly ask: (
    after: string | null,
  ) => Promise<{ readonly calls: readonly CallRecord[]; readonly isLast: boolean }>;
}

interface Change {
  readonly revision: number;
  /** Null: the call is over. */
  readonly document: string | null;
}

/**
 * What another process needs to go on with this edge's phones, as they see it: the leader writes it down. What the leader
 * has not said to be on disk is told it again after a loss of the connection; the rest any leader has.
 */
export class EdgeCalls {
  readonly #parts: EdgeCallsParts;
  /** The oldest first. */
  readonly #changes = new Map<string, Change>();
  /** Calls that this process has. */
  readonly #known = new Set<string>();
  /** Calls that another edge has, and whose end this one has not told yet. */
  readonly #away = new Set<string>();
  #last = 0;
  #dropped = 0;

  constructor(parts: EdgeCallsParts) {
    this.#parts = parts;
  }

  /** Changes that are not on disk, and those that were dropped because too many were kept. */
  get counts(): { readonly waiting: number; readonly dropped: number } {
    return { waiting: this.#changes.size, dropped: this.#dropped };
  }

  /**
   * Those that the leader has of this edge. Waits for a leader.
   * @throws PatchbayError by rejection: what the leader answers
   */
  async calls(): Promise<readonly CallRecord[]> {
    const found: CallRecord[] = [];
    for (;;) {
      const { calls, isLast } = await this.#parts.ask(found.at(-1)?.id ?? null);
      found.push(...calls);
      for (const { id } of calls) this.#known.add(id);
      if (isLast || calls.length === 0) return found;
    }
  }

  /** Whether this process has calls, or has had some and the leader may not know that they are over. */
  get hasAny(): boolean {
    return this.#known.size + this.#changes.size > 0;
  }

  /** Whether this process has a call, or has had it and the leader may not know that it is over. */
  knows(id: string): boolean {
    return this.#known.has(id) || this.#changes.has(id);
  }

  /** Whether this process has had a call that is over, which is not on disk. */
  isOver(id: string): boolean {
    return this.#changes.get(id)?.document === null;
  }

  /** The call of another edge is this one's from now on. */
  taken(id: string): void {
    this.#away.delete(id);
    this.#known.add(id);
  }

  saveCall(id: string, document: string): void {
    this.#known.add(id);
    this.#change(id, document);
  }

  deleteCall(id: string): void {
    this.#known.delete(id);
    if (!this.#away.delete(id)) this.#change(id, null);
  }

  /**
   * The call is another edge's from now on: nothing is told of it any more, and it may be given back. Only that it was over
   * before is told still: the leader may die before it has written down that another edge has it.
   */
  givenAway(id: string): void {
    this.#known.delete(id);
    if (!this.isOver(id)) this.#changes.delete(id);
    this.#away.add(id);
    const [oldest] = this.#away;
    if (this.#away.size > MAX_KEPT && oldest !== undefined) this.#away.delete(oldest);
  }

  /** There is another connection with a leader. */
  tellAll(): void {
    for (const [id, change] of this.#changes) this.#parts.tell({ type: 'call', id, ...change });
  }

  /** All up to this revision is on disk. */
  saved(revision: number): void {
    for (const [id, change] of this.#changes) {
      if (change.revision > revision) return;
      this.#changes.delete(id);
    }
  }

  #change(id: string, document: string | null): void {
    this.#last += 1;
    const change = { revision: this.#last, document };
    this.#changes.delete(id);
    this.#changes.set(id, change);
    const [oldest] = this.#changes.keys();
    if (this.#changes.size > MAX_KEPT && oldest !== undefined) {
      this.#changes.delete(oldest);
      this.#dropped += 1;
    }
    this.#parts.tell({ type: 'call', id, ...change });
  }
}
