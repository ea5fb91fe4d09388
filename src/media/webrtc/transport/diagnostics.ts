/** Messages that wait for the channel to open; the oldest go first. */
const MAX_WAITING = 16;
/** A page that has so many bytes yet to read gets no more. */
const MAX_BUFFERED = 65_536;

/** The part of a data channel that diagnostics need. */
export interface DiagnosticsChannel {
  isOpen(): boolean;
  bufferedAmount(): number;
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
    if (!this.#channel.isOpen()) this.#waiting = [...this.#waiting, message].slice(-MAX_WAITING);
    else if (this.#channel.bufferedAmount() < MAX_BUFFERED) this.#channel.sendMessage(message);
  }
}
