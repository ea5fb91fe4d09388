import { FRAME_MS, MIN_PIECE_MS, TimeScale } from '../audio/index.js';
import type { ProgramRate } from '../types.js';
import { RealTimeFeed } from './real-time-feed.js';

/** Superfluous delay over this is cut out wherever it can be, else where it is not heard and not in every frame. */
const URGENT_MS = 200;
const MILD_SIMILARITY = 0.9;
const MILD_PAUSE_FRAMES = 60 / FRAME_MS;

/** The sound before a {@link PlayQueue.clear} fades for so long, so that the cut does not click. */
const FADE_MS = 5;
/** Samples that the queue has room for at first, in ms. */
const FIRST_ROOM_MS = 500;

interface Mark {
  readonly mark: string;
  /** Samples that are played before it, since the start. */
  readonly at: number;
}

/** Marks that may wait; further ones are answered at once. */
const MAX_MARKS = 1000;

/** What a program has sent and was not played yet: samples, with marks among them. */
export class PlayQueue {
  readonly #rate: ProgramRate;
  readonly #feed: RealTimeFeed;
  readonly #timeScale: TimeScale;
  /** A frame and what follows it, out of which a piece may be cut. */
  readonly #piece: Int16Array;
  #framesSinceCut = 0;
  readonly #limit: number;
  readonly #onPlayed: (mark: string) => void;
  /** A ring: `#count` samples from `#from` on. */
  #ring: Int16Array;
  #from = 0;
  #count = 0;
  /** Samples that were played or cleared since the start. */
  #played = 0;
  #marks: Mark[] = [];
  /** What fades out after a clear. */
  #fading: Int16Array | undefined;
  /** Samples that came, and those that found no room. */
  received = 0;
  dropped = 0;

  /**
   * @param rate in Hz
   * @param limitMs longest audio that may wait
   * @param onPlayed all before a mark has been played or cleared
   */
  constructor(rate: ProgramRate, limitMs: number, onPlayed: (mark: string) => void) {
    this.#rate = rate;
    const frameSamples = (rate / 1000) * FRAME_MS;
    this.#feed = new RealTimeFeed(frameSamples);
    this.#timeScale = new TimeScale(rate);
    this.#piece = new Int16Array(frameSamples + this.#timeScale.enough);
    this.#limit = Math.ceil((limitMs * rate) / 1000);
    this.#onPlayed = onPlayed;
    this.#ring = new Int16Array(Math.min(this.#limit, (FIRST_ROOM_MS * rate) / 1000));
  }

  /** Samples that wait. */
  get waiting(): number {
    return this.#count;
  }

  /** @param pcm signed 16-bit little-endian samples; an odd last byte is ignored */
  add(pcm: Buffer): void {
    const samples = pcm.length >> 1;
    this.received += samples;
    this.#feed.arrived(samples);
    const taken = Math.min(samples, this.#limit - this.#count);
    this.dropped += samples - taken;
    this.#makeRoom(this.#count + taken);
    const ring = this.#ring;
    let to = (this.#from + this.#count) % ring.length;
    for (let i = 0; i < taken; i += 1) {
      // The two bytes as a signed number.
      ring[to] = pcm[2 * i]! | (pcm[2 * i + 1]! << 8);
      to = to + 1 === ring.length ? 0 : to + 1;
    }
    this.#count += taken;
  }

  mark(mark: string): void {
    if (this.#count === 0 || this.#marks.length >= MAX_MARKS) this.#onPlayed(mark);
    else this.#marks.push({ mark, at: this.#played + this.#count });
  }

  /** Drops all that waits. */
  clear(): void {
    const fade = Math.min(this.#count, (this.#rate / 1000) * FADE_MS);
    if (fade > 0) {
      this.#fading = Int16Array.from({ length: fade }, (_, i) =>
        Math.round((this.#next(i) * (fade - i)) / (fade + 1)),
      );
    }
    this.#played += this.#count;
    this.#count = 0;
    this.#feed.reset();
    this.#tell();
  }

  /** Writes the next samples to `out`, and silence where there are none. @returns false if all is silence */
  read(out: Int16Array): boolean {
    let at = 0;
    const fading = this.#fading;
    if (fading) {
      this.#fading = undefined;
      out.set(fading);
      at = fading.length;
    }
    const cut = at === 0 ? this.#catchUp(out) : 0;
    const taken = cut > 0 ? out.length + cut : Math.min(this.#count, out.length - at);
    if (cut === 0) {
      for (let i = 0; i < taken; i += 1) out[at + i] = this.#next(i);
      out.fill(0, at + taken);
    }
    this.#from = (this.#from + taken) % this.#ring.length;
    this.#count -= taken;
    this.#played += taken;
    this.#feed.played(this.#count);
    return at + taken > 0;
  }

  /** Writes a frame from which a piece was cut out, to lower the delay. @returns samples cut out; 0: nothing was written */
  #catchUp(out: Int16Array): number {
    const { spare } = this.#feed;
    const piece = this.#piece;
    this.#framesSinceCut += 1;
    const length = Math.min(this.#count, piece.length);
    const most = Math.min(spare, length - out.length);
    if (most < (this.#rate / 1000) * MIN_PIECE_MS) return 0;
    const isUrgent = spare > (this.#rate / 1000) * URGENT_MS;
    if (!isUrgent && this.#framesSinceCut < MILD_PAUSE_FRAMES) return 0;
    for (let i = 0; i < length; i += 1) piece[i] = this.#next(i);
    this.#timeScale.hear(piece, 0, out.length);
    // A cut is cross-faded within the frame, so that what follows it stays as it is.
    const cut = this.#timeScale.isQuiet(piece, 0, length)
      ? this.#timeScale.shortenQuiet(piece, 0, length, most)
      : this.#timeScale.shorten(piece, 0, length, most, isUrgent ? 0 : MILD_SIMILARITY);
    if (cut === 0) return 0;
    this.#framesSinceCut = 0;
    this.#feed.cut(cut);
    for (let i = 0; i < out.length; i += 1) out[i] = piece[i]!;
    return cut;
  }

  /** Tells the marks that were reached: to be called when what was read has been sent. */
  tellPlayed(): void {
    if (this.#marks.length > 0 && this.#marks[0]!.at <= this.#played) this.#tell();
  }

  #next(i: number): number {
    return this.#ring[(this.#from + i) % this.#ring.length]!;
  }

  #tell(): void {
    const reached = this.#marks.filter(({ at }) => at <= this.#played);
    this.#marks = this.#marks.slice(reached.length);
    for (const { mark } of reached) this.#onPlayed(mark);
  }

  #makeRoom(samples: number): void {
    if (samples <= this.#ring.length) return;
    const larger = new Int16Array(Math.min(this.#limit, Math.max(samples, 2 * this.#ring.length)));
    for (let i = 0; i < this.#count; i += 1) larger[i] = this.#next(i);
    this.#ring = larger;
    this.#from = 0;
  }
}
