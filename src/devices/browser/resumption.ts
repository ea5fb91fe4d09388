import { PatchbayError, type ResumePoint } from '../../core/index.js';
import {
  type BrowserHandle,
  type CarriedDevice,
  MAX_NOTE_BYTES,
  type SubscribeOffer,
} from '../../media/index.js';
import { isObject } from './json-rpc.js';
import type { OfferedStreams } from './messages.js';

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

/** What the gateway keeps with the media of a page, so that another gateway can go on with both. */
interface PageNote {
  readonly participantId: string;
  readonly uniqueId: string;
  /** When the page connected, in epoch ms. */
  readonly connectedAt: number;
  readonly offered: OfferedStreams;
  /** The codecs of what is sent to the page. */
  readonly sent: readonly string[];
}

/** A page whose media an earlier gateway left. */
export interface CarriedPage {
  readonly note: PageNote;
  readonly device: CarriedDevice;
}

function writePageNote({ offered, ...note }: PageNote): string {
  return JSON.stringify({ ...note, offered: [...offered] });
}

/** @returns undefined when the text is not such a note: another version of the gateway may have written it */
export function readPageNote(text: string): PageNote | undefined {
  let note: unknown;
  try {
    note = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (!isObject(note)) return undefined;
  // An earlier version did not write `sent`.
  const { participantId, uniqueId, connectedAt, offered, sent = [] } = note;
  if (typeof participantId !== 'string' || typeof uniqueId !== 'string') return undefined;
  if (typeof connectedAt !== 'number' || !Array.isArray(offered) || !Array.isArray(sent)) return undefined;
  const streams = offered.filter(
    (entry): entry is [string, string | undefined] => Array.isArray(entry) && typeof entry[0] === 'string',
  );
  const codecs = sent.filter((codec) => typeof codec === 'string');
  return { participantId, uniqueId, connectedAt, offered: new Map(streams), sent: codecs };
}

/**
 * Keeps the note with the page's media. One that is too long is kept without aliases.
 * @throws MediaError by rejection, as {@link BrowserHandle.keep}
 */
export async function keepPageNote(media: BrowserHandle, note: PageNote): Promise<void> {
  const text = writePageNote(note);
  const fits = Buffer.byteLength(text) <= MAX_NOTE_BYTES;
  await media.keep(fits ? text : writePageNote({ ...note, offered: new Map() }));
}
