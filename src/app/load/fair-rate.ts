const WINDOW_MS = 1000;
/** Most sources that are counted separately in one window; further ones share one count. */
const MAX_SOURCES = 1000;
const OTHERS = 'others';

/**
 * Admits a number of requests each second, all at once if none came before. A single source gets all of them; if several
 * ask, none gets more than its share. A source that asked for little gets its share even if another has taken
 * everything: up to one second's worth is lent, and taken from the next second.
 */
export class FairRate {
  readonly #perSecond: number;
  readonly #burst: number;
  #tokens: number;
  #at: number;
  #windowBegan: number;
  /** How many requests of each source were admitted. */
  #present = new Map<string, number>();
  #past = new Map<string, number>();

  constructor(perSecond: number, now: number) {
    this.#perSecond = perSecond;
    this.#burst = perSecond;
    this.#tokens = this.#burst;
    this.#at = now;
    this.#windowBegan = now;
  }

  /** Sources that are counted separately now. */
  get size(): number {
    return this.#present.size;
  }

  take(source: string, now: number): boolean {
    this.#turnWindow(now);
    this.#tokens = Math.min(this.#burst, this.#tokens + ((now - this.#at) / 1000) * this.#perSecond);
    this.#at = now;
    const full = this.#present.size >= MAX_SOURCES && !this.#present.has(source);
    const key = full ? OTHERS : source;
    const taken = this.#present.get(key) ?? 0;
    // Refused sources are counted too: their shares are kept for them.
    this.#present.set(key, taken);
    if (taken >= this.#share(key)) return false;
    if (this.#tokens < 1 && !this.#lends(key, taken)) return false;
    this.#tokens -= 1;
    this.#present.set(key, taken + 1);
    return true;
  }

  /** The share of a source in this window. */
  #share(key: string): number {
    // The sources of the last second, and those that are new in this one.
    const sources = Math.max(this.#past.size + (this.#past.has(key) ? 0 : 1), this.#present.size);
    return sources === 1 ? Number.POSITIVE_INFINITY : Math.max(1, this.#perSecond / sources);
  }

  /** Lends only to a source that got less than its share in this window and the last; not to a flood that keeps asking. */
  #lends(key: string, taken: number): boolean {
    const share = this.#share(key);
    return (
      share !== Number.POSITIVE_INFINITY &&
      this.#tokens >= 1 - this.#burst &&
      taken + (this.#past.get(key) ?? 0) < share
    );
  }

  #turnWindow(now: number): void {
    const age = now - this.#windowBegan;
    if (age < WINDOW_MS) return;
    this.#past = age < 2 * WINDOW_MS ? this.#present : new Map<string, number>();
    this.#present = new Map<string, number>();
    this.#windowBegan = now;
  }
}
