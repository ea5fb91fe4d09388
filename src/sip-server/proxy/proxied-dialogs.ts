import type { SipCounters } from '../counters.js';
import type { Essentials } from '../message/essentials.js';
import { BoundedMap } from '../../shared/index.js';

/** Callees of one call, forked as it may be, that are told apart. */
const MAX_CALLEES = 64;

/**
 * The dialogs that go by this server since it recorded its route in them. Whatever claims to belong to another is not
 * forwarded: a server that follows every Route header is a relay for anybody. Bounded; the oldest are forgotten.
 */
export class ProxiedDialogs {
  /** The callees' tags, by Call-ID and the caller's tag. */
  readonly #callees: BoundedMap<string, Set<string>>;
  readonly #counters: SipCounters;

  constructor(limit: number, counters: SipCounters) {
    this.#callees = new BoundedMap(limit);
    this.#counters = counters;
  }

  get size(): number {
    return this.#callees.size;
  }

  /** A request of the caller's is forwarded, or a response that names a callee went back. */
  add(callId: string, callerTag: string, calleeTag: string): void {
    const key = keyOf(callId, callerTag);
    const callees = this.#callees.get(key) ?? new Set();
    if (calleeTag !== '' && callees.size < MAX_CALLEES) callees.add(calleeTag);
    const before = this.#callees.size;
    const isNew = this.#callees.get(key) === undefined;
    this.#callees.set(key, callees);
    if (isNew && this.#callees.size === before) this.#counters.droppedProxiedDialogs++;
  }

  /** Whether a request belongs to one of them, from either side. */
  has(essentials: Essentials): boolean {
    return this.#callerOf(essentials) !== undefined;
  }

  /** A dialog is over; the dialogs with other callees of the same call stay. */
  remove(essentials: Essentials): void {
    const caller = this.#callerOf(essentials);
    if (caller === undefined) return;
    const { callId, fromTag, toTag } = essentials;
    const callees = this.#callees.get(keyOf(callId, caller));
    callees?.delete(caller === fromTag ? toTag : fromTag);
    if (!callees || callees.size === 0) this.#callees.delete(keyOf(callId, caller));
  }

  /** A call came to nothing. */
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
