import type { PublishedTrack } from '../../track.js';
import type { MediaKind } from '../../types.js';

/** Time to wait for an answer, in ms, by attempt: a client that fails on an offer does not report it. */
const ANSWER_TIMEOUTS_MS = [5_000, 5_000, 10_000, 20_000, 30_000] as const;

/** Most m-lines of one browser; further tracks are left out. */
const MAX_SLOTS = 120;

/** One m-line of a subscribe connection: it is never removed, and its place in the SDP never changes. */
export interface Slot {
  readonly index: number;
  readonly kind: MediaKind;
  mid: string;
  track: PublishedTrack | undefined;
  /** It is offered with port 0 until an answer confirms that. */
  withdrawn: boolean;
}

/** Which track is on which m-line. Free m-lines of the right kind are used again before new ones are added. */
export class SubscribeLayout {
  readonly #slots: Slot[];
  /** The live m-lines, those with the oldest mid first: all use the transport of the first. */
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

  /** Gives up all m-lines, so that tracks assigned later get new ones, and with them a new transport. */
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

interface OfferExchangeOptions {
  /** Makes and sends an offer of the present state. */
  readonly send: () => void;
}

/**
 * Keeps one offer outstanding at most. Changes made meanwhile go together into the next offer. An offer that
 * is not answered in time is made again, after longer and longer times.
 */
export class OfferExchange {
  readonly #options: OfferExchangeOptions;
  #outstanding = false;
  #wanted = false;
  #attempt = 0;
  #timer: NodeJS.Timeout | undefined;
  #stopped = false;

  constructor(options: OfferExchangeOptions) {
    this.#options = options;
  }

  get outstanding(): boolean {
    return this.#outstanding;
  }

  /** Something changed that the other end must learn. Changes in one turn of the event loop go out as one. */
  want(): void {
    if (this.#wanted) return;
    this.#wanted = true;
    queueMicrotask(() => this.#proceed());
  }

  /** The outstanding offer is answered. */
  answered(): void {
    this.#settle();
    this.#attempt = 0;
    this.#proceed();
  }

  /** The outstanding offer is void: no answer to it counts any more. @returns whether there was one */
  abandon(): boolean {
    const outstanding = this.#outstanding;
    this.#settle();
    this.#attempt = 0;
    return outstanding;
  }

  stop(): void {
    this.#stopped = true;
    this.#settle();
  }

  #proceed(): void {
    if (this.#stopped || this.#outstanding || !this.#wanted) return;
    this.#wanted = false;
    this.#outstanding = true;
    const timeout = ANSWER_TIMEOUTS_MS[this.#attempt] ?? ANSWER_TIMEOUTS_MS.at(-1)!;
    this.#timer = setTimeout(() => this.#timedOut(), timeout);
    this.#options.send();
  }

  #timedOut(): void {
    this.#settle();
    this.#attempt += 1;
    this.#wanted = true;
    this.#proceed();
  }

  #settle(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#outstanding = false;
  }
}
