import type { ListOptions, Page } from './core.js';
import { PatchbayError } from './errors.js';
import { OrderedIds } from './ordered-ids.js';

interface Owned {
  readonly id: string;
  readonly accountId: string;
  readonly tag?: string | undefined;
}

const DEFAULT_PAGE = 100;
const MAX_PAGE = 1_000;

/** Things that belong to accounts, in the order of their ids. */
export class AccountTable<T extends Owned> {
  readonly #byId = new Map<string, T>();
  readonly #byAccount = new Map<string, OrderedIds>();

  get size(): number {
    return this.#byId.size;
  }

  get(id: string): T | undefined {
    return this.#byId.get(id);
  }

  /** Adds an item, or replaces the one with its id in its place. */
  set(item: T): void {
    const known = this.#byId.has(item.id);
    this.#byId.set(item.id, item);
    if (known) return;
    const ids = this.#byAccount.get(item.accountId) ?? new OrderedIds();
    ids.add(item.id);
    this.#byAccount.set(item.accountId, ids);
  }

  delete(item: T): void {
    this.#byId.delete(item.id);
    const ids = this.#byAccount.get(item.accountId);
    ids?.delete(item.id);
    if (ids?.size === 0) this.#byAccount.delete(item.accountId);
  }

  countOf(accountId: string): number {
    return this.#byAccount.get(accountId)?.size ?? 0;
  }

  /** @throws PatchbayError BAD_REQUEST when the limit is out of range */
  page(accountId: string, { tag, limit = DEFAULT_PAGE, cursor, examine = Infinity }: ListOptions): Page<T> {
    if (!Number.isInteger(limit) || limit < 1 || limit > MAX_PAGE) {
      throw new PatchbayError('PATCHBAY_BAD_REQUEST', `limit must be a whole number from 1 to ${MAX_PAGE}.`);
    }
    const items: T[] = [];
    let examined = 0;
    let seen = cursor;
    for (const id of this.#byAccount.get(accountId)?.after(cursor) ?? []) {
      if (examined === examine && seen !== undefined) return { items, next: seen };
      const item = this.#byId.get(id);
      if (item && (tag === undefined || item.tag === tag)) {
        if (items.length === limit) return { items, next: items.at(-1)!.id };
        items.push(item);
      }
      examined += 1;
      seen = id;
    }
    return { items };
  }
}
