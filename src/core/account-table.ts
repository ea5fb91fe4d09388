import type { ListOptions, Page } from './core.js';
import { pageLimit } from './rules.js';

/** A chunk with more ids than this is split in two. */
const MAX_CHUNK = 512;

interface Owned {
  readonly id: string;
  readonly accountId: string;
  readonly tag?: string | undefined;
}

/** Items that belong to accounts, ordered by id. */
export class AccountTable<T extends Owned> {
  readonly #byId = new Map<string, T>();
  readonly #byAccount = new Map<string, OrderedIds>();

  get size(): number {
    return this.#byId.size;
  }

  get(id: string): T | undefined {
    return this.#byId.get(id);
  }

  /** Adds an item, or replaces the one with the same id. */
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
  page(accountId: string, { tag, limit: wanted, cursor, examine = Infinity }: ListOptions): Page<T> {
    const limit = pageLimit(wanted);
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

/**
 * Ids, sorted, whatever order they are added in: a new id may be less than those before it if the machine's clock was
 * set back, or if it was made by a gateway whose clock was behind. Finding, adding and deleting one takes about the same
 * time however many there are.
 */
export class OrderedIds {
  /** Sorted chunks of sorted ids; none is empty. */
  readonly #chunks: string[][] = [];
  #size = 0;

  get size(): number {
    return this.#size;
  }

  /** Adds an id that is not there yet. */
  add(id: string): void {
    this.#size += 1;
    const index = Math.max(0, this.#chunkOf(id));
    const chunk = this.#chunks[index];
    if (!chunk) {
      this.#chunks.push([id]);
    } else if (index === this.#chunks.length - 1 && chunk.length >= MAX_CHUNK && chunk.at(-1)! < id) {
      // The usual case, an id greater than all others: a new chunk leaves the full ones full.
      this.#chunks.push([id]);
    } else {
      chunk.splice(firstFrom(chunk, id), 0, id);
      if (chunk.length > MAX_CHUNK) this.#chunks.splice(index + 1, 0, chunk.splice(chunk.length / 2));
    }
  }

  delete(id: string): void {
    const index = this.#chunkOf(id);
    const chunk = this.#chunks[index];
    const at = chunk ? firstFrom(chunk, id) : -1;
    if (chunk?.[at] !== id) return;
    this.#size -= 1;
    chunk.splice(at, 1);
    if (chunk.length === 0) this.#chunks.splice(index, 1);
  }

  /** The ids greater than this one, which need not be in the list; all ids if it is undefined. */
  *after(id: string | undefined): Iterable<string> {
    let index = id === undefined ? 0 : Math.max(0, this.#chunkOf(id));
    let at = id === undefined ? 0 : firstFrom(this.#chunks[index] ?? [], id);
    for (; index < this.#chunks.length; index += 1, at = 0) {
      const chunk = this.#chunks[index]!;
      for (; at < chunk.length; at += 1) if (chunk[at] !== id) yield chunk[at]!;
    }
  }

  /** Index of the last chunk whose first id is not greater than this one; -1 if there is none. */
  #chunkOf(id: string): number {
    let [from, to] = [0, this.#chunks.length];
    while (from < to) {
      const middle = (from + to) >> 1;
      if (this.#chunks[middle]![0]! <= id) from = middle + 1;
      else to = middle;
    }
    return from - 1;
  }
}

/** Index of the first id that is not less than this one. */
function firstFrom(ids: readonly string[], id: string): number {
  let [from, to] = [0, ids.length];
  while (from < to) {
    const middle = (from + to) >> 1;
    if (ids[middle]! < id) from = middle + 1;
    else to = middle;
  }
  return from;
}
