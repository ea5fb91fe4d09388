import type { MixLoad } from '../door.js';

/** Length of one mix frame. */
export const FRAME_MS = 20;
/** Frames that may be made late, since even an idle process is held up for 36 to 76 ms at times. Older ones are skipped. */
const MAX_BEHIND = 4;
/** The maximum lateness is remembered for one to two of these windows. */
const LATENESS_WINDOW_MS = 1000;

export interface FrameListener {
  /**
   * @param frame counts frames since the clock's origin; after a stall it may jump
   * @param now monotonic time in ms at which the clock began with this frame
   */
  onFrame(frame: number, now: number): void;
}

interface MixClockOptions {
  /** Monotonic time in ms. */
  readonly now?: () => number;
  /** A listener threw; the others were still called. */
  readonly onError: (error: unknown) => void;
}

/**
 * Calls its listeners every 20 ms, counted from a fixed origin so that lateness never adds up. Runs only while it has
 * listeners. After a delay it makes one frame in each turn of the event loop, so that signalling is served in between,
 * and skips frames that are too old: making all of them in a row would delay everything else.
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

  /** The frame of this moment. */
  get present(): number {
    return this.#due();
  }

  load(): MixLoad {
    const now = this.#now();
    this.#turnWindow(now);
    // If the timer is overdue just now, count that too.
    const present = this.#timer ? this.#lateness(now) : 0;
    const mixLatenessMs = Math.max(this.#worstInWindow, this.#worstBefore, present);
    return { mixLatenessMs, framesSkipped: this.#framesSkipped, mixBusyMs: this.#busyMs };
  }

  /** Lateness of the next frame in ms; negative: it is not due yet. */
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
      for (const listener of this.#listeners) this.#serve(listener, now);
      this.#busyMs += this.#now() - now;
    }
    if (this.#listeners.size > 0) this.#schedule();
  }

  #serve(listener: FrameListener, now: number): void {
    try {
      listener.onFrame(this.#frame, now);
    } catch (error) {
      this.#onError(error);
    }
  }
}
