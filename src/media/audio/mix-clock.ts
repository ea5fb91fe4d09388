import type { MediaLoad } from '../types.js';

/** Length of one mix frame. */
export const FRAME_MS = 20;
/** Frames that may be made late: an untouched process is held up for 36 to 76 ms now and then. Older ones are skipped. */
const MAX_BEHIND = 4;
/** The worst lateness is remembered for one to two of these. */
const LATENESS_WINDOW_MS = 1000;

/** Does something for every mix frame. */
export interface FrameListener {
  /** @param frame counts frames since the clock's origin; after a stall it may jump */
  onFrame(frame: number): void;
}

/** What a mix clock needs from outside. */
interface MixClockOptions {
  /** Monotonic time in ms. */
  readonly now?: () => number;
  /** A listener failed; the others were served all the same. */
  readonly onError: (error: unknown) => void;
}

/**
 * Calls its listeners every 20 ms, counted from a fixed origin so that lateness never adds up. Runs only while it has
 * listeners. After a delay it makes one frame in each turn of the event loop, so that signalling gets its turns, and
 * skips what is too old: frames made in a row would make everything else late, and those after them.
 */
export class MixClock {
  readonly #now: () => number;
  readonly #onError: (error: unknown) => void;
  readonly #listeners = new Set<FrameListener>();
  readonly #origin: number;
  #frame = 0;
  #timer: NodeJS.Timeout | undefined;
  #framesSkipped = 0;
  #busyMs = 0;
  #windowStart = 0;
  #worstInWindow = 0;
  #worstBefore = 0;

  constructor(options: MixClockOptions) {
    this.#now = options.now ?? (() => performance.now());
    this.#onError = options.onError;
    this.#origin = this.#now();
  }

  add(listener: FrameListener): void {
    this.#listeners.add(listener);
    if (this.#timer) return;
    this.#frame = this.#due();
    this.#schedule();
  }

  remove(listener: FrameListener): void {
    this.#listeners.delete(listener);
    if (this.#listeners.size > 0) return;
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#worstInWindow = 0;
    this.#worstBefore = 0;
  }

  load(): MediaLoad {
    const now = this.#now();
    this.#turnWindow(now);
    // Asked while it is held up, it has yet to notice.
    const present = this.#timer ? this.#lateness(now) : 0;
    const mixLatenessMs = Math.max(this.#worstInWindow, this.#worstBefore, present);
    return { mixLatenessMs, framesSkipped: this.#framesSkipped, mixBusyMs: this.#busyMs };
  }

  /** Of the next frame; below 0: there is time. */
  #lateness(now: number): number {
    return now - (this.#origin + (this.#frame + 1) * FRAME_MS);
  }

  #turnWindow(now: number): void {
    const age = now - this.#windowStart;
    if (age < LATENESS_WINDOW_MS) return;
    this.#worstBefore = age < 2 * LATENESS_WINDOW_MS ? this.#worstInWindow : 0;
    this.#worstInWindow = 0;
    this.#windowStart = now;
  }

  #due(): number {
    return Math.floor((this.#now() - this.#origin) / FRAME_MS);
  }

  #schedule(): void {
    this.#timer = setTimeout(() => this.#run(), Math.max(0, -this.#lateness(this.#now())));
  }

  #run(): void {
    const now = this.#now();
    const lateness = this.#lateness(now);
    if (lateness >= 0) {
      this.#turnWindow(now);
      this.#worstInWindow = Math.max(this.#worstInWindow, lateness);
      const tooOld = this.#due() - this.#frame - MAX_BEHIND;
      if (tooOld > 0) {
        this.#frame += tooOld;
        this.#framesSkipped += tooOld;
      }
      this.#frame += 1;
      for (const listener of this.#listeners) this.#serve(listener);
      this.#busyMs += this.#now() - now;
    }
    if (this.#listeners.size > 0) this.#schedule();
  }

  #serve(listener: FrameListener): void {
    try {
      listener.onFrame(this.#frame);
    } catch (error) {
      this.#onError(error);
    }
  }
}
