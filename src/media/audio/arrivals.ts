import type { SampleRate } from '../codecs/index.js';

/** How far back arrivals count: longer than the second between bursts of a second. */
const PARTS = 12;
const PART_MS = 100;
/** Packets should come this long before they are read, in ms... */
const MIN_GUARD_MS = 4;
/** ...and longer by this share of the jitter, of which more than this much counts for nothing. */
const GUARD_SHARE = 0.4;
const MAX_JITTER_MS = 28;
/** What is left of the jitter after each part without any: half in 2.3 s. */
const JITTER_DECAY = 0.97;
/** One that comes so shortly before it is read counts as late: the next one may be. */
const TIGHT_MS = 2;
/** So many late packets count as jitter; fewer are ignored. */
const LATE_LIMIT = 2;
const MAX_SHORTAGE_MS = 100;
/** A reader that is later than this skipped frames. */
const MAX_READ_LATE_MS = 100;
/** Share of a reader's lateness that counts as a change of its clock. */
const READ_SMOOTHING = 1 / 32;
/** No reader waits longer, in samples: keeps what a stopped clock or reader makes out of the range of integers. */
const MAX_WAIT = 48_000;

/** What was seen of the packets that came in one part of the window. In samples: integers are not boxed. */
class Part {
  packets = 0;
  late = 0;
  /** The least by which a packet came early enough, with the guard and without. */
  spare = 0;
  slack = 0;
  /** The shortest and the longest time until a packet's first sample is played. */
  shortest = 0;
  longest = 0;

  clear(): void {
    this.packets = 0;
    this.late = 0;
  }

  /** Takes over what is more extreme in another part. */
  add(other: Part): void {
    if (other.packets === 0) return;
    this.note(other.spare, other.slack, other.shortest, other.longest);
    this.packets += other.packets - 1;
    this.late += other.late;
  }

  note(spare: number, slack: number, shortest: number, longest: number): void {
    const isFirst = this.packets === 0;
    this.packets += 1;
    if (isFirst || spare < this.spare) this.spare = spare;
    if (isFirst || slack < this.slack) this.slack = slack;
    if (isFirst || shortest < this.shortest) this.shortest = shortest;
    if (isFirst || longest > this.longest) this.longest = longest;
  }

  /** The delay has become longer. */
  move(samples: number): void {
    this.spare += samples;
    this.slack += samples;
    this.shortest += samples;
    this.longest += samples;
  }
}

/**
 * When the packets of a stream come, measured against when they are read: how much of the delay no packet of the last 1.2 s
 * needed, and how much was missing. Audio is read in frames, so a packet is needed at the read in which its first sample is,
 * and how shortly before it came is seen only by the clock.
 */
export class Arrivals {
  readonly #now: () => number;
  readonly #perMs: number;
  readonly #parts: readonly Part[] = Array.from({ length: PARTS }, () => new Part());
  /** Of all parts. */
  readonly #window = new Part();
  #part = 0;
  /** Parts since the first packet. */
  #age = 0;
  #inPart = 0;
  #frame = 0;
  /** When the present frame was, in ms, if the reader was punctual: in an array, where it is not boxed. */
  readonly #frameAt = Float64Array.of(-Infinity);
  #guard: number;
  #jitter = 0;

  /** @param now monotonic time in ms */
  constructor(rate: SampleRate, now: () => number) {
    this.#now = now;
    this.#perMs = rate / 1000;
    this.#guard = MIN_GUARD_MS * this.#perMs;
  }

  /** Samples of delay that could go. */
  get spare(): number {
    return this.#age < PARTS || this.#window.packets === 0 ? 0 : Math.max(0, this.#window.spare);
  }

  /** Samples of delay that are missing. */
  get shortage(): number {
    if (this.#window.late < LATE_LIMIT) return 0;
    return Math.min(MAX_SHORTAGE_MS * this.#perMs, Math.max(0, -this.#window.slack));
  }

  /** Forgets what came before the stream began anew: the jump between is no jitter. */
  reset(): void {
    for (const part of this.#parts) part.clear();
    this.#window.clear();
    this.#jitter = 0;
    this.#guard = MIN_GUARD_MS * this.#perMs;
    this.#age = 0;
    this.#inPart = 0;
  }

  /** A frame is read, at a time in ms. */
  read(samples: number, now: number): void {
    const due = this.#frameAt[0]! + this.#frame / this.#perMs;
    const late = now - due;
    // Readers are late at times but never early: what looks like early is a clock that was believed to be late.
    const isJump = late < 0 || late > MAX_READ_LATE_MS;
    this.#frameAt[0] = isJump ? now : due + late * READ_SMOOTHING;
    this.#frame = samples;
    this.#inPart += samples;
    if (this.#inPart < PART_MS * this.#perMs) return;
    this.#inPart = 0;
    this.#turn();
  }

  /**
   * A packet came.
   * @param ahead buffered samples before its first one; negative: it should have been read already
   */
  observe(ahead: number): void {
    const wait = (this.#frameAt[0]! - this.#now()) * this.#perMs + this.#frame;
    const slack = ahead - (wait < TIGHT_MS * this.#perMs ? this.#frame : 0);
    const spare = ahead - (wait < this.#guard ? this.#frame : 0);
    const played = ahead + Math.max(-MAX_WAIT, Math.min(MAX_WAIT, Math.round(wait)));
    const part = this.#parts[this.#part]!;
    part.note(spare, slack, played, played);
    this.#window.note(spare, slack, played, played);
    if (slack >= 0) return;
    part.late += 1;
    this.#window.late += 1;
  }

  /** The delay was made longer by so many samples (shorter: negative). */
  moved(samples: number): void {
    for (let i = 0; i < PARTS; i += 1) this.#parts[i]!.move(samples);
    this.#window.move(samples);
  }

  #turn(): void {
    const { shortest, longest, packets } = this.#window;
    this.#age = packets === 0 ? 0 : this.#age + 1;
    const spread = packets === 0 ? 0 : Math.min(MAX_JITTER_MS * this.#perMs, longest - shortest);
    this.#jitter = Math.max(spread, Math.floor(this.#jitter * JITTER_DECAY));
    this.#guard = Math.round(MIN_GUARD_MS * this.#perMs + GUARD_SHARE * this.#jitter);
    this.#part = (this.#part + 1) % PARTS;
    this.#parts[this.#part]!.clear();
    this.#window.clear();
    for (let i = 0; i < PARTS; i += 1) this.#window.add(this.#parts[i]!);
  }
}
