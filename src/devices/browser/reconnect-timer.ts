import type { Clock, Timer } from '../../shared/index.js';

/** How long a browser without a socket is kept, in ms. */
export interface ReconnectTimes {
  /** Without a sign of life in its media. Silence before the socket was lost does not count. */
  readonly silentMs: number;
  /** The same, counted from the last message or pong on the socket: a socket that was cut for silence has used some of it. */
  readonly unheardMs: number;
  /** Even if its media is alive. */
  readonly longestMs: number;
}

export const DEFAULT_RECONNECT_TIMES: ReconnectTimes = {
  silentMs: 7_000,
  unheardMs: 13_000,
  longestMs: 120_000,
};

/** Waits for a browser without a socket to reconnect, for as long as its media is alive. */
export class ReconnectTimer {
  readonly #clock: Clock;
  readonly #times: ReconnectTimes;
  readonly #givenUp: () => void;
  #timer: Timer | undefined;
  /** When its media fell silent: undefined while it is alive, -Infinity before its first sign of life. */
  #silentSince: number | undefined = -Infinity;
  /** When the socket was lost; undefined while there is one. */
  #lostAt: number | undefined;
  #allowedMs = 0;

  constructor(options: {
    clock: Clock;
    times: ReconnectTimes;
    /** The browser did not come back in time. */
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

  /** The browser's media has been silent for this many ms. */
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
    // A page that receives nothing sends nothing either: silence before the socket was lost does not mean that it is gone.
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
