import type { Socket } from 'node:net';

const MAX_FRAME_BYTES = 262_144;
const MAX_LENGTH_DIGITS = 6;

/** What an application's connection reports. */
export interface AppEvents {
  message(app: App, line: string, sip: Buffer): void;
  closed(app: App): void;
  backlogged(app: App): void;
}

/** One connected application: cuts its stream into messages of the admin protocol and writes to it. */
export class App {
  readonly #socket: Socket;
  readonly #events: AppEvents;
  readonly #maxQueuedBytes: number;
  #buffer: Buffer = Buffer.alloc(0);
  authenticated = false;
  tags: readonly string[] = [];
  connected = true;

  constructor(socket: Socket, maxQueuedBytes: number, events: AppEvents) {
    this.#socket = socket;
    this.#events = events;
    this.#maxQueuedBytes = maxQueuedBytes;
    socket.setNoDelay(true);
    socket.on('data', (chunk: Buffer) => this.#onData(chunk));
    socket.on('error', () => this.close());
    socket.on('close', () => this.#onClose());
  }

  /** Writes one frame. An application that does not read is disconnected when too much waits for it. */
  send(bytes: Buffer): void {
    if (!this.connected) return;
    if (this.#socket.writableLength > this.#maxQueuedBytes) {
      this.#events.backlogged(this);
      this.close();
      return;
    }
    this.#socket.write(bytes);
  }

  /** Closes once what was written has left. */
  closeAfterSending(): void {
    this.#socket.destroySoon();
  }

  close(): void {
    this.#socket.destroy();
    this.#onClose();
  }

  #onClose(): void {
    if (!this.connected) return;
    this.connected = false;
    this.#events.closed(this);
  }

  #onData(chunk: Buffer): void {
    this.#buffer = this.#buffer.length === 0 ? chunk : Buffer.concat([this.#buffer, chunk]);
    while (this.connected) {
      const hash = this.#buffer.subarray(0, MAX_LENGTH_DIGITS + 1).indexOf(0x23);
      if (hash < 0) {
        if (this.#buffer.length > MAX_LENGTH_DIGITS) this.close();
        return;
      }
      const digits = this.#buffer.toString('latin1', 0, hash);
      const length = /^\d+$/.test(digits) ? Number(digits) : 0;
      if (length === 0 || length > MAX_FRAME_BYTES) {
        this.close();
        return;
      }
      if (this.#buffer.length < hash + 1 + length) return;
      const message = this.#buffer.subarray(hash + 1, hash + 1 + length);
      this.#buffer = this.#buffer.subarray(hash + 1 + length);
      this.#deliver(message);
    }
  }

  #deliver(message: Buffer): void {
    const end = message.indexOf('\r\n');
    const line = message.toString('latin1', 0, end < 0 ? message.length : end);
    this.#events.message(this, line, end < 0 ? Buffer.alloc(0) : message.subarray(end + 2));
  }
}
