/** Length of one mix frame. */
export const FRAME_MS = 20;
/** Frames made at once after the process was held up; older ones are skipped. */
const MAX_CATCH_UP = 5;

/** Does something for every mix frame. */
export interface FrameListener {
  /** @param frame counts frames since the clock's origin; after a stall it may jump */
  onFrame(frame: number): void;
}

/** What a mix clock needs from outside. */
export interface MixClockOptions {
  /** Monotonic time in ms. */
  readonly now?: () => number;
  /** A listener failed; the others were served all the same. */
  readonly onError: (error: unknown) => void;
}

/**
 * Calls its listeners every 20 ms, counted from a fixed origin so that lateness never adds up. Runs only while it has
 * listeners.
 */
export class MixClock {
  readonly #now: () => number;
  readonly #onError: (error: unknown) => void;
  readonly #listeners = new Set<FrameListener>();
  readonly #origin: number;
  #frame = 0;
  #timer: NodeJS.Timeout | undefined;

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
  }

  #due(): number {
    return Math.floor((this.#now() - this.#origin) / FRAME_MS);
  }

  #schedule(): void {
    const wait = this.#origin + (this.#frame + 1) * FRAME_MS - this.#now();
    this.#timer = setTimeout(() => this.#run(), Math.max(0, wait));
  }

  #run(): void {
    const due = this.#due();
    if (due - this.#frame > MAX_CATCH_UP) this.#frame = due - MAX_CATCH_UP;
    while (this.#frame < due) {
      this.#frame += 1;
      for (const listener of this.#listeners) this.#serve(listener);
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
