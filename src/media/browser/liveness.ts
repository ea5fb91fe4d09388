/** A browser that is there sends more often: heartbeats every 3 s, receiver reports within 7.5 s. */
export const SILENCE_MS = 10_000;
/**
 * A browser with a data channel sends more often than this. The reconnect timer counts from its last sign.
 */
const QUIET_MS = 4_000;
const CHECK_INTERVAL_MS = 1_000;

interface LivenessOptions {
  /** Whether a browser that is there would send anything now. */
  readonly expected: () => boolean;
  /** Nothing came for too long; called again only after something came. */
  readonly onSilent: () => void;
  /**
   * Nothing came for {@link QUIET_MS}, whether anything was expected or not; called again only after
   * something came.
   */
  readonly onQuiet: (silentMs: number) => void;
  /** Something came for the first time, or the first time since {@link onQuiet}. */
  readonly onHeardAgain: () => void;
}

/** Notices that a browser vanished, sooner than ICE consent does (RFC 7675: up to 30 s). */
export class Liveness {
  readonly #options: LivenessOptions;
  readonly #timer: NodeJS.Timeout;
  #heardAt: number | undefined;
  #silent = false;
  #quiet = true;

  constructor(options: LivenessOptions) {
    this.#options = options;
    this.#timer = setInterval(() => this.#check(), CHECK_INTERVAL_MS).unref();
  }

  /** Time since something came; undefined before the first. */
  get silentMs(): number | undefined {
    return this.#heardAt === undefined ? undefined : performance.now() - this.#heardAt;
  }

  /** Something authenticated came from the browser. */
  heard(): void {
    this.#heardAt = performance.now();
    this.#silent = false;
    if (!this.#quiet) return;
    this.#quiet = false;
    this.#options.onHeardAgain();
  }

  /** There is a sign that it is gone: silence counts even when nothing was expected. */
  suspect(): void {
    if (this.#silent || (this.silentMs ?? 0) < SILENCE_MS) return;
    this.#silent = true;
    this.#options.onSilent();
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  #check(): void {
    const silentMs = this.silentMs ?? 0;
    if (!this.#quiet && silentMs >= QUIET_MS) {
      this.#quiet = true;
      this.#options.onQuiet(silentMs);
    }
    if (this.#options.expected()) this.suspect();
  }
}
