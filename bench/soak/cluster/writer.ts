import type { Rest } from '../../../test/support/rest.js';
import { patiently } from '../talking/patience.js';

const EVERY_MS = 300;

/** Makes sessions by REST at all gateways in turn, while faults happen, and remembers which were acknowledged. */
export class Writer {
  readonly #rests: readonly Rest[];
  readonly #acknowledged = new Map<string, string>();
  readonly #asked = new Set<Promise<void>>();
  #timer: NodeJS.Timeout | undefined;
  #count = 0;
  refused = 0;
  /** All that were acknowledged so far. */
  total = 0;

  constructor(rests: readonly Rest[]) {
    this.#rests = rests;
  }

  start(): void {
    this.#timer = setInterval(() => {
      const asked = this.#write().finally(() => this.#asked.delete(asked));
      this.#asked.add(asked);
    }, EVERY_MS);
  }

  /** Ends the writing, and deletes what was written. @returns what is lost, once the gateways are well */
  async stop(): Promise<string[]> {
    clearInterval(this.#timer);
    await Promise.all(this.#asked);
    const wrong: string[] = [];
    for (const [at, rest] of this.#rests.entries()) {
      const there = new Set(await patiently(() => sessions(rest)));
      const lost = [...this.#acknowledged].filter(([id]) => !there.has(id));
      if (lost.length > 0)
        wrong.push(
          `gateway ${at + 1} has not the acknowledged sessions ${lost.map(([, tag]) => tag).join()}`,
        );
    }
    this.total += this.#acknowledged.size;
    for (const id of this.#acknowledged.keys())
      await patiently(() => this.#rests[0]!.deleteSession(id)).catch(unlessGone);
    this.#acknowledged.clear();
    return wrong;
  }

  async #write(): Promise<void> {
    this.#count += 1;
    const tag = `written-${this.#count}`;
    try {
      const id = await this.#rests[this.#count % this.#rests.length]!.session(tag);
      this.#acknowledged.set(id, tag);
    } catch {
      // Refused, or nobody was there: it may have been done or not.
      this.refused += 1;
    }
  }
}

/** An earlier attempt has succeeded, though its answer was lost. */
function unlessGone(error: unknown): void {
  if (!String(error).includes(': 404 ')) throw error;
}

/** The ids of all sessions. */
async function sessions(rest: Rest): Promise<string[]> {
  const ids: string[] = [];
  let after: string | undefined;
  do {
    const query = after === undefined ? '' : `&cursor=${encodeURIComponent(after)}`;
    const page = (await rest.request('GET', `/sessions?limit=100${query}`)) as {
      items: { id: string }[];
      next?: string;
    };
    ids.push(...page.items.map(({ id }) => id));
    after = page.next;
  } while (after !== undefined);
  return ids;
}
