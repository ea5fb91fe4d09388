import { BoundedMap } from './bounded-map.js';

const MAX_SOURCES = 50_000;
/** What a source that was never heard before may be sent. */
const FIRST_BYTES = 8192;
const MAX_BYTES = 65_536;
/** How many bytes each received byte allows to be sent. */
const FACTOR = 3;
const BYTES_PER_SECOND = 512;
const PROOF_MS = 3_600_000;

/**
 * Bounds what is sent over UDP to addresses that may be forged, so that the server amplifies nobody's attack.
 * An address is proven once it repeats something that only a receiver of our packets can know.
 */
export class ReplyBudget {
  readonly #sources = new BoundedMap<string, { bytes: number; at: number; provenUntil: number }>(MAX_SOURCES);

  /** Bytes came from an address. */
  received(source: string, bytes: number, now: number): void {
    const entry = this.#entry(source, now);
    entry.bytes = Math.min(MAX_BYTES, entry.bytes + bytes * FACTOR);
  }

  /** The address really hears us. */
  prove(source: string, now: number): void {
    this.#entry(source, now).provenUntil = now + PROOF_MS;
  }

  /** Takes from the budget; false when the bytes must not be sent. */
  spend(source: string, bytes: number, now: number): boolean {
    const entry = this.#entry(source, now);
    if (now < entry.provenUntil) return true;
    if (entry.bytes < bytes) return false;
    entry.bytes -= bytes;
    return true;
  }

  #entry(source: string, now: number): { bytes: number; at: number; provenUntil: number } {
    const known = this.#sources.get(source);
    if (known) {
      known.bytes = Math.min(MAX_BYTES, known.bytes + ((now - known.at) / 1000) * BYTES_PER_SECOND);
      known.at = now;
      return known;
    }
    const entry = { bytes: FIRST_BYTES, at: now, provenUntil: 0 };
    this.#sources.set(source, entry);
    return entry;
  }
}
