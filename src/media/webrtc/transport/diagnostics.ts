/** Messages that wait for the channel to open; the oldest go first. */
const MAX_WAITING = 16;

/** The part of a data channel that diagnostics need. */
export interface DiagnosticsChannel {
  isOpen(): boolean;
  sendMessage(message: string): boolean;
  onOpen(listener: () => void): void;
}

/** What the clients write into their own logs when we send it on their diagnostics channel. */
export class Diagnostics {
  readonly #channel: DiagnosticsChannel;
  #waiting: string[] = [];

  constructor(channel: DiagnosticsChannel) {
    this.#channel = channel;
    channel.onOpen(() => {
      for (const message of this.#waiting.splice(0)) channel.sendMessage(message);
    });
  }

  tell(message: string): void {
    if (this.#channel.isOpen()) this.#channel.sendMessage(message);
    else this.#waiting = [...this.#waiting, message].slice(-MAX_WAITING);
  }
}
