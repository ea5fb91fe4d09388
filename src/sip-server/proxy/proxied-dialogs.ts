import type { SipCounters } from '../counters.js';
import type { Essentials } from '../message/essentials.js';
import { BoundedMap } from '../../shared/index.js';

/** Most callees of one (possibly forked) call that are told apart. */
const MAX_CALLEES = 64;

/**
 * The dialogs in which this server has recorded its route. Requests of other dialogs are not forwarded: a server that
 * follows every Route header is an open relay. Bounded: the oldest dialogs are forgotten.
 */
export class ProxiedDialogs {
  /** The callees' tags, by Call-ID and caller's tag. */
  readonly #callees: BoundedMap<string, Set<string>>;
  readonly #counters: SipCounters;

  constructor(limit: number, counters: SipCounters) {
    this.#callees = new BoundedMap(limit);
    this.#counters = counters;
  }

  get size(): number {
    return this.#callees.size;
  }

  /** Adds a dialog when the caller's request is forwarded, and when a response with a callee's tag is. */
  add(callId: string, callerTag: string, calleeTag: string): void {
    const key = keyOf(callId, callerTag);
    const callees = this.#callees.get(key) ?? new Set();
    if (calleeTag !== '' && callees.size < MAX_CALLEES) callees.add(calleeTag);
    const before = this.#callees.size;
    const isNew = this.#callees.get(key) === undefined;
    this.#callees.set(key, callees);
    if (isNew && this.#callees.size === before) this.#counters.droppedProxiedDialogs++;
  }

  /** Whether a request belongs to one of these dialogs, from either side. */
  has(essentials: Essentials): boolean {
    return this.#callerOf(essentials) !== undefined;
  }

  /** Removes one dialog. Those with other callees of the same call stay. */
  remove(essentials: Essentials): void {
    const caller = this.#callerOf(essentials);
    if (caller === undefined) return;
    const { callId, fromTag, toTag } = essentials;
    const callees = this.#callees.get(keyOf(callId, caller));
    callees?.delete(caller === fromTag ? toTag : fromTag);
    if (!callees || callees.size === 0) this.#callees.delete(keyOf(callId, caller));
  }

  /** Removes all dialogs of a call that was not answered. */
  forget(callId: string, callerTag: string): void {
    this.#callees.delete(keyOf(callId, callerTag));
  }

  #callerOf({ callId, fromTag, toTag }: Essentials): string | undefined {
    return [fromTag, toTag].find((tag) => this.#callees.get(keyOf(callId, tag)) !== undefined);
  }
}

function keyOf(callId: string, callerTag: string): string {
  return `${callId}|${callerTag}`;
}
