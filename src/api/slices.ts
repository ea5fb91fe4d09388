import type { FastifyReply } from 'fastify';
import { type ListOptions, type Page, pageLimit, PatchbayError } from '../core/index.js';

/** Long responses that one account may have under construction at a time. */
const MAX_WAITING = 32;
/** Bytes of responses that one account may leave unread. */
const MAX_UNREAD = 32 * 1_048_576;
/** The connection of a client that reads nothing for so long is closed. */
const UNREAD_MS = 30_000;
/** Characters of JSON in a slice. */
const SLICE = 65_536;

interface Load {
  waiting: number;
  unread: number;
}

/**
 * Builds long responses in slices, one per turn of the event loop and accounts in turn, so that calls and short requests
 * are served in between. Limits how much each account may have waiting and unread.
 */
export class Slices {
  /** Work that waits for its turn, by account. */
  readonly #waiting = new Map<string, (() => void)[]>();
  readonly #loads = new Map<string, Load>();
  #running = false;

  /**
   * Runs work that awaits `turn()` after each slice.
   * @throws PatchbayError TOO_MANY_REQUESTS when the account has too much waiting or unread
   */
  async work<T>(accountId: string, work: (turn: () => Promise<void>) => Promise<T>): Promise<T> {
    const load = this.#load(accountId);
    if (load.waiting >= MAX_WAITING || load.unread >= MAX_UNREAD) {
      throw new PatchbayError(
        'PATCHBAY_TOO_MANY_REQUESTS',
        'The account has too many long responses in progress, or does not read them.',
      );
    }
    load.waiting += 1;
    try {
      return await work(() => this.#turn(accountId));
    } finally {
      load.waiting -= 1;
      this.#drop(accountId, load);
    }
  }

  /** Each item as JSON. @param view what REST shows of an item */
  async json<T>(accountId: string, items: Iterable<T>, view: (item: T) => object): Promise<string[]> {
    return this.work(accountId, async (turn) => {
      const made: string[] = [];
      let slice = SLICE;
      for (const item of items) {
        if (slice >= SLICE) {
          await turn();
          slice = 0;
        }
        const json = JSON.stringify(view(item));
        slice += json.length;
        made.push(json);
      }
      return made;
    });
  }

  /**
   * Sends JSON, which counts as unread until the operating system has accepted all of it.
   * @returns the handler's result; `never`, so that it fits any response schema
   */
  send(reply: FastifyReply, accountId: string, json: string): never {
    const { raw } = reply;
    const { socket } = reply.request.raw;
    // A response queued behind others of its connection gets no event when the connection closes.
    if (!socket.destroyed) {
      const load = this.#load(accountId);
      load.unread += json.length;
      const release = (): void => {
        raw.off('finish', release);
        socket.off('close', release);
        load.unread -= json.length;
        this.#drop(accountId, load);
      };
      raw.once('finish', release);
      socket.setMaxListeners(0).once('close', release);
      raw.setTimeout(UNREAD_MS, () => socket.destroy());
    }
    reply.type('application/json; charset=utf-8');
    return json as never;
  }

  #turn(accountId: string): Promise<void> {
    return new Promise((resolve) => {
      const line = this.#waiting.get(accountId);
      if (line) line.push(resolve);
      else this.#waiting.set(accountId, [resolve]);
      if (!this.#running) this.#next();
    });
  }

  #next(): void {
    this.#running = this.#waiting.size > 0;
    if (!this.#running) return;
    setImmediate(() => {
      const [accountId, line] = this.#waiting.entries().next().value!;
      const resolve = line.shift()!;
      this.#waiting.delete(accountId);
      if (line.length > 0) this.#waiting.set(accountId, line);
      resolve();
      this.#next();
    });
  }

  #load(accountId: string): Load {
    const load = this.#loads.get(accountId) ?? { waiting: 0, unread: 0 };
    this.#loads.set(accountId, load);
    return load;
  }

  #drop(accountId: string, load: Load): void {
    if (load.waiting === 0 && load.unread === 0) this.#loads.delete(accountId);
  }
}

/** A page with more than one item is no larger than this. */
const MAX_PAGE_BYTES = 1_048_576;
/** A slice of a listing also ends after so many examined items. */
const EXAMINED = 2_000;
/** Items that are taken from the core at a time. */
const ITEMS = 100;

/**
 * One page of a listing as JSON, made in slices.
 * @param list gives the core's pages
 */
export async function listingJson<T extends { readonly id: string }>(
  slices: Slices,
  reply: FastifyReply,
  accountId: string,
  { limit: wanted, ...query }: ListOptions,
  list: (options: ListOptions) => Page<T>,
  view: (item: T) => object,
): Promise<never> {
  const limit = pageLimit(wanted);
  const page = await slices.work(accountId, async (turn) => {
    const made: string[] = [];
    let bytes = 0;
    let position = query.cursor;
    for (;;) {
      await turn();
      const options = { ...query, ...(position === undefined ? {} : { cursor: position }) };
      const found = list({ ...options, limit: Math.min(limit - made.length, ITEMS), examine: EXAMINED });
      const sliceEnd = bytes + SLICE;
      let used = 0;
      for (const item of found.items) {
        if (bytes >= sliceEnd) break;
        const json = JSON.stringify(view(item));
        const more = Buffer.byteLength(json) + 1;
        if (made.length > 0 && bytes + more > MAX_PAGE_BYTES) return { made, next: position };
        bytes += more;
        made.push(json);
        position = item.id;
        used += 1;
      }
      if (used < found.items.length) continue;
      if (found.next === undefined || made.length === limit) return { made, next: found.next };
      position = found.next;
    }
  });
  const next = page.next === undefined ? '' : `,"next":${JSON.stringify(page.next)}`;
  return slices.send(reply, accountId, `{"items":[${page.made.join(',')}]${next}}`);
}
