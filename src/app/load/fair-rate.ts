const WINDOW_MS = 1000;
/** Sources that are told apart in one window; what is more shares one place. */
const MAX_SOURCES = 1000;
const OTHERS = 'others';

/**
 * Lets so many through each second, all of them at once if none came before. When several sources ask, none gets more than
 * its share of a second; one that asks alone gets all. A source that asked for little gets its share also when another
 * has taken everything: that is lent, up to a second's worth, and the next second has so much less.
 */
export class FairRate {
  readonly #perSecond: number;
  readonly #burst: number;
  #tokens: number;
  #at: number;
  #windowBegan: number;
  /** How many each source has been let through. */
  #present = new Map<string, number>();
  #past = new Map<string, number>();

  constructor(perSecond: number, now: number) {
    this.#perSecond = perSecond;
    this.#burst = perSecond;
    this.#tokens = this.#burst;
    this.#at = now;
    this.#windowBegan = now;
  }

  /** Sources that are told apart now. */
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
    // Those that only ask count too: they are who the rest is kept for.
    this.#present.set(key, taken);
    if (taken >= this.#share(key)) return false;
    if (this.#tokens < 1 && !this.#lends(key, taken)) return false;
    this.#tokens -= 1;
    this.#present.set(key, taken + 1);
    return true;
  }

  /** Of one source, in this window. */
  #share(key: string): number {
    // Those of the last second, and those who are new in this one.
    const sources = Math.max(this.#past.size + (this.#past.has(key) ? 0 : 1), this.#present.size);
    return sources === 1 ? Number.POSITIVE_INFINITY : Math.max(1, this.#perSecond / sources);
  }

  /** To those only who had less than their share in this window and the last: a flood that asks on gets no loan. */
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
