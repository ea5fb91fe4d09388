import { PatchbayError, type ResumePoint } from '../../core/index.js';
import type { SubscribeOffer } from '../../media/index.js';

/** Stores resume points. */
interface ResumeStore {
  save(point: ResumePoint): void;
  /** Resolves when everything saved is on disk. @throws PatchbayError when it cannot be written; the store logs that */
  flush(): Promise<void>;
}

const UNKNOWN: ResumePoint = { layout: [], revision: 0 };

/** Saves what a restarted gateway must know of a page to go on with the page's peer connections. */
export class Resumption {
  readonly #store: ResumeStore;
  #point: ResumePoint;
  #begun: boolean;

  /** @param known what the gateway saved about the page before its restart */
  constructor(known: ResumePoint | undefined, store: ResumeStore) {
    this.#store = store;
    this.#point = known ?? UNKNOWN;
    this.#begun = known !== undefined;
  }

  /** Whether streams may be offered to the page: it has said that it is ready, now or before a restart of the gateway. */
  get begun(): boolean {
    return this.#begun;
  }

  /** The page is ready. This is saved because it does not say so again to a restarted gateway. */
  begin(): void {
    this.#begun = true;
    this.#store.save(this.#point);
  }

  /** The page made this call. The id is saved so that a restarted gateway can fail calls that were not answered. */
  called(id: number): void {
    this.#point = { ...this.#point, lastCallId: id };
    if (this.#begun) this.#store.save(this.#point);
  }

  /**
   * Saves the m-lines of an offer. Resolves when the offer may be sent: new m-lines must be on disk first, because a
   * page cannot go on with a restarted gateway that offers fewer m-lines.
   * While the disk cannot be written the offer is sent anyway: the page goes on, and only a crash before the disk is back
   * would break it.
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
