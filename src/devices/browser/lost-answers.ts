import type { Clock } from '../../shared/index.js';

/** How long a page may be away and still get its last answer. */
const KEEP_MS = 180_000;
const MAX_PAGES = 1_000;
/** Of all answers together; an answer for two tracks has about 2 kB. */
const MAX_BYTES = 8 * 1024 * 1024;

interface Kept {
  readonly answer: object;
  readonly bytes: number;
  readonly until: number;
}

/**
 * The last answers to `offerSdp` of pages that were lost. A client whose network was away sends one offer for an ICE
 * restart, and never another one if that call fails. Given the old answer instead of an error, it finds no path and
 * sends the next offer.
 */
export class LostAnswers {
  readonly #clock: Clock;
  /** Oldest first. */
  readonly #kept = new Map<string, Kept>();
  #bytes = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  get size(): number {
    return this.#kept.size;
  }

  keep(participantId: string, uniqueId: string, answer: object): void {
    const key = keyOf(participantId, uniqueId);
    this.#forget(key);
    const now = this.#clock.monotonic();
    const bytes = JSON.stringify(answer).length + key.length;
    this.#kept.set(key, { answer, bytes, until: now + KEEP_MS });
    this.#bytes += bytes;
    for (const [other, { until }] of this.#kept) {
      if (until > now && this.#kept.size <= MAX_PAGES && this.#bytes <= MAX_BYTES) break;
      this.#forget(other);
    }
  }

  /** Removes and returns the answer of a page that is back. */
  take(participantId: string, uniqueId: string): object | undefined {
    const key = keyOf(participantId, uniqueId);
    const kept = this.#kept.get(key);
    this.#forget(key);
    return kept && kept.until > this.#clock.monotonic() ? kept.answer : undefined;
  }

  #forget(key: string): void {
    this.#bytes -= this.#kept.get(key)?.bytes ?? 0;
    this.#kept.delete(key);
  }
}

const keyOf = (participantId: string, uniqueId: string): string => JSON.stringify([participantId, uniqueId]);
