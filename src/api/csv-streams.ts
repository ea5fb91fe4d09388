import { Readable } from 'node:stream';
import type { FastifyReply } from 'fastify';
import { PatchbayError } from '../core/index.js';

const MAX_STREAMS = 4;
/** The connection of a client that reads nothing for so long is closed. */
const UNREAD_MS = 30_000;

/** The CSV streams under way, a few for each account. A client may read slowly, but must not stop reading. */
export class CsvStreams {
  readonly #open = new Map<string, number>();

  /** @throws PatchbayError TOO_MANY_REQUESTS, or the error of the first part */
  async open(reply: FastifyReply, accountId: string, parts: AsyncGenerator<string, void>): Promise<Readable> {
    const open = this.#open.get(accountId) ?? 0;
    if (open >= MAX_STREAMS) {
      throw new PatchbayError(
        'PATCHBAY_TOO_MANY_REQUESTS',
        'Too many reports of the account are in progress.',
      );
    }
    this.#open.set(accountId, open + 1);
    const done = (): void => {
      const left = this.#open.get(accountId)! - 1;
      if (left === 0) this.#open.delete(accountId);
      else this.#open.set(accountId, left);
    };
    try {
      // Before the response begins, so that it can still be an error.
      const first = await parts.next();
      const all = async function* (): AsyncGenerator<string, void> {
        if (!first.done) yield first.value;
        yield* parts;
      };
      const stream = Readable.from(all(), { objectMode: false });
      reply.raw.setTimeout(UNREAD_MS, () => stream.destroy());
      stream.once('close', done);
      return stream;
    } catch (error) {
      done();
      throw error;
    }
  }
}

/** The path and query of the next page. */
export function continued(url: string, cursor: string): string {
  const next = new URL(url, 'http://gateway');
  next.searchParams.set('cursor', cursor);
  return next.pathname + next.search;
}
