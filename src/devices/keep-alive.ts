import type { WebSocket } from 'ws';
import type { Clock, Timer } from '../shared/index.js';

/** How often a ping is sent. */
export const KEEPALIVE_MS = 3_000;
/**
 * After this many periods in a row without a message or a pong the socket is cut. One period is not enough: some proxies
 * pass data on every few seconds only, so that two pongs come together.
 */
export const MISSED_SIGNS = 2;

/** Pings the other end of a WebSocket, and cuts the connection when nothing comes from it any more. */
export class KeepAlive {
  readonly #socket: WebSocket;
  readonly #clock: Clock;
  #heardAt: number;
  #heard = true;
  #missed = 0;
  #timer: Timer;

  constructor(socket: WebSocket, clock: Clock) {
    this.#socket = socket;
    this.#clock = clock;
    this.#heardAt = clock.monotonic();
    socket.ping();
    socket.on('message', () => this.#signOfLife());
    socket.on('pong', () => this.#signOfLife());
    socket.once('close', () => this.#timer.cancel());
    this.#timer = this.#schedule();
  }

  /** Milliseconds since the last message or pong. */
  get silentMs(): number {
    return this.#clock.monotonic() - this.#heardAt;
  }

  #signOfLife(): void {
    this.#heard = true;
    this.#heardAt = this.#clock.monotonic();
  }

  #schedule(): Timer {
    return this.#clock.setTimeout(() => {
      this.#missed = this.#heard ? 0 : this.#missed + 1;
      if (this.#missed >= MISSED_SIGNS) {
        this.#socket.terminate();
        return;
      }
      this.#heard = false;
      this.#socket.ping();
      this.#timer = this.#schedule();
    }, KEEPALIVE_MS);
  }
}
