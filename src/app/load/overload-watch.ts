import type { Log } from '../../shared/index.js';
/** Overload is over when nothing was refused for so long. */
const QUIET_MS = 5000;
/** Overload that lasts so long is more than a burst. */
const LASTING_MS = 10_000;
const LOOK_EVERY_MS = 1000;

/** What a watch needs from outside. */
interface OverloadWatchOptions {
  /** Monotonic time in ms. */
  readonly now: () => number;
  /** Goes into the log line at the beginning. */
  readonly describe: () => object;
  readonly log: Log;
}

/** Tells when overload begins and ends: one log line each, however much is refused in between. */
export class OverloadWatch {
  readonly #options: OverloadWatchOptions;
  #timer: NodeJS.Timeout | undefined;
  #began = 0;
  #refusedAt = 0;
  #refused = 0;

  constructor(options: OverloadWatchOptions) {
    this.#options = options;
  }

  /** Whether something was refused in the last few seconds. */
  get overloaded(): boolean {
    return this.#timer !== undefined;
  }

  /** Whether it has been so for longer than a burst takes. */
  get lasting(): boolean {
    return this.overloaded && this.#options.now() - this.#began >= LASTING_MS;
  }

  refused(cause: string): void {
    const now = this.#options.now();
    this.#refusedAt = now;
    this.#refused += 1;
    if (this.#timer) return;
    this.#began = now;
    this.#refused = 1;
    this.#timer = setInterval(() => this.#look(), LOOK_EVERY_MS).unref();
    this.#options.log.warn({ cause, ...this.#options.describe() }, 'overload: new calls are refused');
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  #look(): void {
    if (this.#options.now() - this.#refusedAt < QUIET_MS) return;
    this.stop();
    const seconds = Math.round((this.#refusedAt - this.#began) / 1000);
    this.#options.log.info({ seconds, refused: this.#refused }, 'overload is over');
  }
}
