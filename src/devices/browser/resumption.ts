import { PatchbayError, type ResumePoint } from '../../core/index.js';
import type { SubscribeOffer } from '../../media/index.js';

/** Where a resume point is kept; `flush` resolves when what was saved is on disk. */
interface ResumeStore {
  save(point: ResumePoint): void;
  /** @throws PatchbayError when it could not be written; whoever keeps it tells of that */
  flush(): Promise<void>;
}

const UNKNOWN: ResumePoint = { layout: [], revision: 0 };

/** Keeps what a restarted gateway must know of a page, to serve it with the peer connections that it has. */
export class Resumption {
  readonly #store: ResumeStore;
  #point: ResumePoint;
  #begun: boolean;

  /** @param known what a gateway before this one kept of the page */
  constructor(known: ResumePoint | undefined, store: ResumeStore) {
    this.#store = store;
    this.#point = known ?? UNKNOWN;
    this.#begun = known !== undefined;
  }

  /** A gateway may offer streams to the page: it has said that it is ready, now or before a restart of ours. */
  get begun(): boolean {
    return this.#begun;
  }

  /** The page is ready. It will not say so again to a restarted gateway. */
  begin(): void {
    this.#begun = true;
    this.#store.save(this.#point);
  }

  /** The page made this call. Should we be gone before it is answered, a restarted gateway must know. */
  called(id: number): void {
    this.#point = { ...this.#point, lastCallId: id };
    if (this.#begun) this.#store.save(this.#point);
  }

  /**
   * The page is about to be offered this. Resolves when it may be: a page that took an offer must find a restarted
   * gateway knowing its m-lines, since it drops an offer with fewer of them for good.
   * While the disk takes no writes it is offered all the same: a page that is up goes on, at the risk that the gateway
   * dies before the disk is back.
   */
  async offered({ layout, revision }: Pick<SubscribeOffer, 'layout' | 'revision'>): Promise<void> {
    const isNew = layout.join() !== this.#point.layout.join();
    this.#point = { ...this.#point, layout, revision };
    this.#store.save(this.#point);
    if (!isNew) return;
    try {
      await this.#store.flush();
    } catch (error) {
      if (!(error instanceof PatchbayError)) throw error;
    }
  }
}
