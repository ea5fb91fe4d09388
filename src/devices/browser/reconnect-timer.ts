import type { Clock, Timer } from '../../shared/index.js';

/** How long a browser without a socket is kept. */
export interface ReconnectTimes {
  /** Without a sign of life: in its media, which may have had nothing to say before, or by a new socket. */
  readonly silentMs: number;
  /** The same, but counted from when its socket was heard last: one that was cut for its silence waits less. */
  readonly unheardMs: number;
  /** However alive its media is. */
  readonly longestMs: number;
}

export const DEFAULT_RECONNECT_TIMES: ReconnectTimes = {
  silentMs: 7_000,
  unheardMs: 13_000,
  longestMs: 120_000,
};

const LOOK_EVERY_MS = 1_000;

/** Waits for a browser whose socket is gone to reconnect, for as long as its media shows that it lives. */
export class ReconnectTimer {
  readonly #clock: Clock;
  readonly #times: ReconnectTimes;
  /** @returns ms since the browser's media gave a sign of life; undefined when it never did */
  readonly #silence: () => Promise<number | undefined>;
  readonly #given: () => void;
  #timer: Timer | undefined;
  #since = 0;
  #allowedMs = 0;

  constructor(options: {
    clock: Clock;
    times: ReconnectTimes;
    silence: () => Promise<number | undefined>;
    /** The browser is given up. */
    givenUp: () => void;
  }) {
    this.#clock = options.clock;
    this.#times = options.times;
    this.#silence = options.silence;
    this.#given = options.givenUp;
  }

  /** @param unheardMs how long the socket had been silent when it was lost */
  start(unheardMs: number): void {
    this.stop();
    this.#since = this.#clock.monotonic();
    this.#allowedMs = Math.min(this.#times.silentMs, this.#times.unheardMs - unheardMs);
    this.#look();
  }

  stop(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
  }

  #look(): void {
    const timer = this.#clock.setTimeout(() => {
      void this.#decide(timer);
    }, LOOK_EVERY_MS);
    this.#timer = timer;
  }

  async #decide(timer: Timer): Promise<void> {
    const silent = await this.#silence().catch(() => undefined);
    if (this.#timer !== timer) return;
    const waited = this.#clock.monotonic() - this.#since;
    // A page that only receives, and now nothing, says nothing: its silence from before the loss proves nothing.
    const quiet = Math.min(silent ?? waited, waited);
    if (quiet < this.#allowedMs && waited < this.#times.longestMs) {
      this.#look();
      return;
    }
    this.stop();
    this.#given();
  }
}
