import type { PublishedTrack } from '../../track.js';
import type { MediaKind } from '../../types.js';

/** M-lines that one browser may have; the tracks beyond are left out. */
const MAX_SLOTS = 120;

/** One m-line of a subscribe connection: never removed, its place in the SDP is for good. */
export interface Slot {
  readonly index: number;
  readonly kind: MediaKind;
  mid: string;
  track: PublishedTrack | undefined;
  /** Given up in the offers from now on, until an answer has taken note. */
  withdrawn: boolean;
}

/** Which track is on which m-line. Free m-lines of the right kind are used again before new ones are added. */
export class SubscribeLayout {
  readonly #slots: Slot[];
  /** The live ones, those under their mid for longest first: the transport of the first is that of all. */
  readonly #bundle: Slot[] = [];
  #renamed = 0;

  /** @param kinds m-lines that the browser has already */
  constructor(kinds: readonly MediaKind[] = []) {
    this.#slots = [];
    for (const kind of kinds) this.#append(kind);
  }

  get slots(): readonly Slot[] {
    return this.#slots;
  }

  /** Mids of the live m-lines; the first stays first for as long as its m-line lives. */
  get bundle(): string[] {
    return this.#bundle.map(({ mid }) => mid);
  }

  get kinds(): MediaKind[] {
    return this.#slots.map(({ kind }) => kind);
  }

  /**
   * Places exactly these tracks; tracks that are placed stay where they are.
   * @returns whether anything changed, and the tracks for which no m-line is left
   */
  assign(tracks: readonly PublishedTrack[]): { changed: boolean; left: PublishedTrack[] } {
    const wanted = new Set(tracks);
    let changed = false;
    for (const slot of this.#slots) {
      if (!slot.track || wanted.delete(slot.track)) continue;
      slot.track = undefined;
      changed = true;
    }
    const left: PublishedTrack[] = [];
    for (const track of wanted) {
      const slot = this.#free(track.kind);
      if (!slot) {
        left.push(track);
        continue;
      }
      slot.track = track;
      changed = true;
    }
    return { changed, left };
  }

  /** The browser refused the m-line: its place can be used again only under another mid (RFC 8829 section 5.2.2). */
  refuse(slot: Slot): void {
    this.#leaveBundle(slot);
    slot.track = undefined;
    slot.withdrawn = false;
    this.#renamed += 1;
    slot.mid = `${slot.index}.${this.#renamed}`;
    this.#bundle.push(slot);
  }

  /** Gives all m-lines up, so that the tracks that are assigned next get others, and with them another transport. */
  withdraw(): void {
    for (const slot of [...this.#bundle]) {
      this.#leaveBundle(slot);
      slot.track = undefined;
      slot.withdrawn = true;
    }
  }

  #leaveBundle(slot: Slot): void {
    const at = this.#bundle.indexOf(slot);
    if (at >= 0) this.#bundle.splice(at, 1);
  }

  #free(kind: MediaKind): Slot | undefined {
    const free = this.#slots.find((slot) => slot.kind === kind && !slot.track && !slot.withdrawn);
    if (free) return free;
    return this.#slots.length < MAX_SLOTS ? this.#append(kind) : undefined;
  }

  #append(kind: MediaKind): Slot {
    const index = this.#slots.length;
    const slot: Slot = { index, kind, mid: String(index), track: undefined, withdrawn: false };
    this.#slots.push(slot);
    this.#bundle.push(slot);
    return slot;
  }
}
