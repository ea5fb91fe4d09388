const INTERVAL_MS = 5_000;

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
  #pongs = 0;

  constructor(channel: HeartbeatChannel) {
    this.#channel = channel;
    channel.onMessage((message) => {
      if (message === 'PONG') this.#pongs += 1;
    });
    this.#timer = setInterval(() => this.#beat(), INTERVAL_MS);
    this.#timer.unref();
  }

  /** Replies received. */
  get pongs(): number {
    return this.#pongs;
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  #beat(): void {
    if (this.#channel.isOpen()) this.#channel.sendMessage('PING');
  }
}
