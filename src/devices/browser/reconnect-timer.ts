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

/** Waits for a browser whose socket is gone to reconnect, for as long as its media shows that it lives. */
export class ReconnectTimer {
  readonly #clock: Clock;
  readonly #times: ReconnectTimes;
  readonly #givenUp: () => void;
  #timer: Timer | undefined;
  /** When its media gave the last sign of life, while it is silent; -Infinity when it never gave one. */
  #silentSince: number | undefined = -Infinity;
  /** When the socket was lost; undefined while there is one. */
  #lostAt: number | undefined;
  #allowedMs = 0;

  constructor(options: {
    clock: Clock;
    times: ReconnectTimes;
    /** The browser is given up. */
    givenUp: () => void;
  }) {
    this.#clock = options.clock;
    this.#times = options.times;
    this.#givenUp = options.givenUp;
  }

  /** @param unheardMs how long the socket had been silent when it was lost */
  start(unheardMs: number): void {
    this.#lostAt = this.#clock.monotonic();
    this.#allowedMs = Math.min(this.#times.silentMs, this.#times.unheardMs - unheardMs);
    this.#wait(this.#lostAt);
  }

  stop(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#lostAt = undefined;
  }

  /** The browser's media gave no sign of life for so many ms. */
  silent(silentMs: number): void {
    this.#silentSince = this.#clock.monotonic() - silentMs;
    if (this.#lostAt !== undefined) this.#wait(this.#lostAt);
  }

  /** The browser's media gives signs of life. */
  heard(): void {
    this.#silentSince = undefined;
    if (this.#lostAt !== undefined) this.#wait(this.#lostAt);
  }

  #wait(lostAt: number): void {
    this.#timer?.cancel();
    const { longestMs } = this.#times;
    // A page that only receives, and now nothing, says nothing: its silence from before the loss proves nothing.
    const allowed =
      this.#silentSince === undefined
        ? longestMs
        : Math.max(this.#silentSince, lostAt) + this.#allowedMs - lostAt;
    const until = lostAt + Math.min(allowed, longestMs);
    this.#timer = this.#clock.setTimeout(
      () => {
        this.stop();
        this.#givenUp();
      },
      Math.max(0, until - this.#clock.monotonic()),
    );
  }
}
