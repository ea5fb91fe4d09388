import type { Log } from '../../shared/index.js';
/** Overload ends when nothing was refused for so long. */
const QUIET_MS = 5000;
/** Overload that lasts longer is not a burst. */
const LASTING_MS = 10_000;
const LOOK_EVERY_MS = 1000;

interface OverloadWatchOptions {
  /** Monotonic time in ms. */
  readonly now: () => number;
  /** Fields for the log line at the beginning. */
  readonly describe: () => object;
  readonly log: Log;
}

/** Logs when overload begins and ends: one line each, however much is refused in between. */
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

  /** Whether the overload has lasted longer than a burst. */
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
