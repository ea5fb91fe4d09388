import type { Refusal } from './refusal.js';

/**
 * Tells a call's setup, and who waits in it, that the call ended meanwhile. What `AbortSignal` is for: but each of
 * those has a hidden class of its own, which makes 2,000 of them, ten seconds of a busy gateway, some 2 MB of the old
 * generation.
 */
export class SetupSignal {
  #reason: Refusal | undefined;
  #listener: ((reason: Refusal) => void) | undefined;

  /** What the INVITE is to be refused with; absent while the call may be answered. */
  get reason(): Refusal | undefined {
    return this.#reason;
  }

  /** The first reason counts. */
  abort(reason: Refusal): void {
    if (this.#reason) return;
    this.#reason = reason;
    this.#listener?.(reason);
    this.#listener = undefined;
  }

  throwIfAborted(): void {
    if (this.#reason) throw this.#reason;
  }

  /** Setup waits in one place at a time: a listener takes the place of the one before; undefined takes it away. */
  onAbort(listener: ((reason: Refusal) => void) | undefined): void {
    this.#listener = listener;
  }
}
