const INTERVAL_MS = 3_000;

/** The part of a data channel that the heartbeat needs. */
export interface HeartbeatChannel {
  isOpen(): boolean;
  sendMessage(message: string): boolean;
  onMessage(listener: (message: string | Buffer | ArrayBuffer) => void): void;
}

/** Sends `PING` on the clients' heartbeat channel; they reply `PONG`. */
export class Heartbeat {
  readonly #channel: HeartbeatChannel;
  readonly #timer: NodeJS.Timeout;

  constructor(channel: HeartbeatChannel, onPong: () => void) {
    this.#channel = channel;
    channel.onMessage((message) => {
      if (message === 'PONG') onPong();
    });
    this.#timer = setInterval(() => this.#beat(), INTERVAL_MS);
    this.#timer.unref();
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  #beat(): void {
    if (this.#channel.isOpen()) this.#channel.sendMessage('PING');
  }
}
