const INTERVAL_MS = 3_000;

/** The part of a data channel that the heartbeat needs. */
export interface HeartbeatChannel {
  isOpen(): boolean;
  bufferedAmount(): number;
  sendMessage(message: string): boolean;
}

/** Sends `PING` on the clients' heartbeat channel; they reply `PONG`. */
export class Heartbeat {
  readonly #channel: HeartbeatChannel;
  readonly #timer: NodeJS.Timeout;

  constructor(channel: HeartbeatChannel) {
    this.#channel = channel;
    this.#timer = setInterval(() => this.#beat(), INTERVAL_MS);
    this.#timer.unref();
  }

  isAnswer(message: unknown): boolean {
    return message === 'PONG';
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  #beat(): void {
    // A page that does not read gets no more of them: the library would keep them all.
    if (this.#channel.isOpen() && this.#channel.bufferedAmount() === 0) this.#channel.sendMessage('PING');
  }
}
