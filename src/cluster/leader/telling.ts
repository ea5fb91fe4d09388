import type { FromLeader, Link } from '../messages.js';

/** Messages to an edge that wait until it is sure that nobody else leads. */
const MAX_HELD = 10_000;
/** They let nobody in, and are waited for. */
const UNHELD: readonly FromLeader['type'][] = ['answer', 'failed', 'refused'];

export interface TellingParts {
  /** Whether nobody else can be the leader now. */
  readonly isLeading: () => boolean;
  /** Messages wait until that is so again: {@link Telling.tellHeld} is to be called. */
  readonly heldBack: () => void;
}

/**
 * The way to an edge. Another gateway may lead when the database is away for long, or this process was: then other gateways'
 * edges are told no change until it is sure that none does. If one does, they never are.
 */
export class Telling {
  readonly #parts: TellingParts;
  #link: Link<FromLeader> | undefined;
  #held: FromLeader[] = [];

  constructor(parts: TellingParts) {
    this.#parts = parts;
  }

  /** Undefined: the edge is not connected. */
  get link(): Link<FromLeader> | undefined {
    return this.#link;
  }

  /** Goes on with another connection; the one before is closed. */
  connected(link: Link<FromLeader>): void {
    this.#link?.close();
    this.#link = link;
    this.#held = [];
  }

  disconnected(): void {
    this.#link = undefined;
    this.#held = [];
  }

  tell(message: FromLeader): void {
    const link = this.#link;
    if (!link) return;
    if (link.isLocal || this.#parts.isLeading()) {
      this.tellHeld();
      link.send(message);
    } else if (UNHELD.includes(message.type)) link.send(message);
    else if (this.#held.length < MAX_HELD) {
      this.#held.push(message);
      this.#parts.heldBack();
    }
    // All is stated again at the next connection.
    else link.close();
  }

  /** Tells what had to wait. @returns whether nothing waits any more */
  tellHeld(): boolean {
    if (this.#held.length === 0) return true;
    if (!this.#parts.isLeading()) return false;
    for (const message of this.#held.splice(0)) this.#link?.send(message);
    return true;
  }

  /**
   * Answers an edge that asks for its lease. It does not get it before it has heard which of its calls others have.
   * @param at when it asked; undefined: it is not to have it
   */
  grant(at: number | undefined, stamp: number): void {
    const isHeldBack = this.#held.some(
      (message) => message.type === 'close' && message.reason === 'taken-over',
    );
    this.#link?.send({ type: 'lease', at: isHeldBack ? undefined : at, stamp });
  }
}
