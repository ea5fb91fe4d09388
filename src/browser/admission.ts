import { networkOf } from '../shared/index.js';
import type { BrowserLimits } from './limits.js';
import { KeyedBuckets } from './token-bucket.js';

/** Counts the sockets of each address, so that none takes them all. */
export class Admission {
  readonly #limits: BrowserLimits;
  readonly #connects: KeyedBuckets;
  readonly #open = new Map<string, number>();
  #total = 0;

  constructor(limits: BrowserLimits) {
    this.#limits = limits;
    this.#connects = new KeyedBuckets(limits.connects);
  }

  get sockets(): number {
    return this.#total;
  }

  /** @returns what gives the place back, to be called once; undefined when there is none to be had */
  admit(address: string, now: number): (() => void) | undefined {
    const key = networkOf(address);
    const open = this.#open.get(key) ?? 0;
    if (this.#total >= this.#limits.sockets || open >= this.#limits.socketsPerAddress) return undefined;
    if (!this.#connects.take(key, now)) return undefined;
    this.#open.set(key, open + 1);
    this.#total += 1;
    return () => {
      this.#release(key);
    };
  }

  #release(key: string): void {
    const open = (this.#open.get(key) ?? 1) - 1;
    if (open === 0) this.#open.delete(key);
    else this.#open.set(key, open);
    this.#total -= 1;
  }
}
