import type { Socket } from 'node:net';

const LENGTH_BYTES = 4;

/** Longest message: an SDP of the largest size with what JSON escapes, and the devices of a full host. */
const MAX_MESSAGE = 64 * 1024 * 1024;

/** JSON messages over a stream socket, each after its length in four bytes, big-endian. */
export class MessageSocket<Incoming, Outgoing> {
  readonly #socket: Socket;
  readonly #onMessage: (message: Incoming) => void;
  #parts: Buffer[] = [];
  #size = 0;
  /** Bytes of the next message with its length; the length's own while that is not known. */
  #wanted = LENGTH_BYTES;

  /** @param onMessage is not called after the socket was destroyed */
  constructor(socket: Socket, onMessage: (message: Incoming) => void) {
    this.#socket = socket;
    this.#onMessage = onMessage;
    socket.on('data', (data) => this.#take(data));
    // `close` follows, which tells whoever has the socket.
    socket.on('error', () => undefined);
  }

  /** The bytes that the other end has not taken yet. */
  get waiting(): number {
    return this.#socket.writableLength;
  }

  send(message: Outgoing): void {
    if (this.#socket.destroyed) return;
    const text = JSON.stringify(message);
    const length = Buffer.byteLength(text);
    const frame = Buffer.allocUnsafe(LENGTH_BYTES + length);
    frame.writeUInt32BE(length);
    frame.write(text, LENGTH_BYTES);
    this.#socket.write(frame);
  }

  /** Sends what is waiting, then closes. */
  end(): void {
    this.#socket.end();
  }

  destroy(): void {
    this.#socket.destroy();
  }

  #take(data: Buffer): void {
    this.#parts.push(data);
    this.#size += data.length;
    while (this.#size >= this.#wanted && !this.#socket.destroyed) this.#next();
  }

  /** Reads a length or a message, for which there is enough. */
  #next(): void {
    const whole = this.#parts.length === 1 ? this.#parts[0]! : Buffer.concat(this.#parts, this.#size);
    if (this.#wanted === LENGTH_BYTES) {
      const length = whole.readUInt32BE();
      if (length > MAX_MESSAGE) {
        this.#socket.destroy();
        return;
      }
      this.#wanted = LENGTH_BYTES + length;
      this.#parts = [whole];
      return;
    }
    const message = whole.toString('utf8', LENGTH_BYTES, this.#wanted);
    const rest = whole.subarray(this.#wanted);
    this.#parts = rest.length > 0 ? [rest] : [];
    this.#size = rest.length;
    this.#wanted = LENGTH_BYTES;
    let parsed: Incoming;
    try {
      // Both ends know the secret of the data folder: a message has the type that its sender gave it.
      parsed = JSON.parse(message) as Incoming;
    } catch {
      this.#socket.destroy();
      return;
    }
    this.#onMessage(parsed);
  }
}
