import type { FastifyReply } from 'fastify';
import { type ListOptions, type Page, pageLimit } from '../../core/index.js';
import type { Slices } from '../slices.js';

/** A page with more than one item is no larger than this. */
const MAX_PAGE_BYTES = 1_048_576;
/** A slice of the work ends after so many characters, or after so many examined items. */
const SLICE = 65_536;
const EXAMINED = 2_000;
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
