import type { CallRecord, FromEdge, FromLeader, Questions } from '../messages.js';
import type { EdgeCallStore } from './edge-store.js';

/** So many characters of records are in one answer, or one record that is longer. */
const PAGE_CHARACTERS = 1_000_000;

type Change = Extract<FromEdge, { readonly type: 'call' }>;

/** Writes down the records of one edge's calls, on one connection with it, and says when they are on disk. */
export class CallSaving {
  readonly #edgeId: string;
  readonly #store: EdgeCallStore | undefined;
  readonly #tell: (message: FromLeader) => void;
  #taken = 0;
  #isSaving = false;

  /** @param store absent: nothing goes on with calls after this process */
  constructor(edgeId: string, store: EdgeCallStore | undefined, tell: (message: FromLeader) => void) {
    this.#edgeId = edgeId;
    this.#store = store;
    this.#tell = tell;
  }

  /** @param isOthers another edge has the call by now: nothing that this one says of it counts */
  take({ id, revision, document }: Change, isOthers: boolean): void {
    const store = this.#store;
    this.#taken = revision;
    if (!store) {
      this.#tell({ type: 'callsSaved', revision });
      return;
    }
    const owner = store.ownerOf(id);
    if (!isOthers && (owner === undefined || owner === this.#edgeId)) {
      if (document !== null) store.saveCall(id, document, this.#edgeId);
      else if (owner !== undefined) store.deleteCall(id);
    }
    this.#save(store);
  }

  /** Resolves when all that was taken is on disk. */
  async flush(): Promise<void> {
    await this.#store?.flush();
  }

  page({ after }: Questions['calls']['asked']): Questions['calls']['answer'] {
    const rest = (this.#store?.recordsOf(this.#edgeId) ?? []).filter(
      ({ id }) => after === null || id > after,
    );
    const calls: CallRecord[] = [];
    let characters = 0;
    for (const call of rest) {
      characters += call.document.length;
      if (calls.length > 0 && characters > PAGE_CHARACTERS) break;
      calls.push(call);
    }
    return { calls, isLast: calls.length === rest.length };
  }

  #save(store: EdgeCallStore): void {
    if (this.#isSaving) return;
    this.#isSaving = true;
    const revision = this.#taken;
    store.flush().then(
      () => {
        this.#isSaving = false;
        this.#tell({ type: 'callsSaved', revision });
        if (this.#taken > revision) this.#save(store);
      },
      // The store tries again by itself; what is taken next is told together with this.
      () => (this.#isSaving = false),
    );
  }
}
