import type { KeptRecord } from './usage-store.js';

/** Connections whose records an earlier gateway left open, and which were not carried over yet. */
export class LeftConnections {
  readonly #participantOf = new Map<string, string>();
  /** How many each participant has; one without any is not there. */
  readonly #counts = new Map<string, number>();

  constructor(records: Iterable<KeptRecord>) {
    for (const { connectionId, participantId } of records) {
      if (this.#participantOf.has(connectionId)) continue;
      this.#participantOf.set(connectionId, participantId);
      this.#counts.set(participantId, (this.#counts.get(participantId) ?? 0) + 1);
    }
  }

  has(connectionId: string): boolean {
    return this.#participantOf.has(connectionId);
  }

  hasOf(participantId: string): boolean {
    return this.#counts.has(participantId);
  }

  delete(connectionId: string): void {
    const participantId = this.#participantOf.get(connectionId);
    if (participantId === undefined) return;
    this.#participantOf.delete(connectionId);
    const left = (this.#counts.get(participantId) ?? 0) - 1;
    if (left > 0) this.#counts.set(participantId, left);
    else this.#counts.delete(participantId);
  }
}
