/** Key frames cost several times the bits of others: publishers are asked for at most this many. */
const MIN_INTERVAL_MS = 500;

/**
 * Turns any number of wishes for a key frame into few requests: the first at once, those that follow too soon as
 * one at the end of the interval.
 */
export class KeyFrameRequests {
  readonly #request: () => void;
  #lastAt = -Infinity;
  #timer: NodeJS.Timeout | undefined;

  constructor(request: () => void) {
    this.#request = request;
  }

  wish(): void {
    if (this.#timer) return;
    const wait = this.#lastAt + MIN_INTERVAL_MS - performance.now();
    if (wait <= 0) this.#send();
    else this.#timer = setTimeout(() => this.#send(), wait);
  }

  stop(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  #send(): void {
    this.#timer = undefined;
    this.#lastAt = performance.now();
    this.#request();
  }
}
