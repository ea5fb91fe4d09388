import type { Socket } from 'node:net';

const LENGTH_BYTES = 4;
/** Set in the length of a message of audio. */
const IS_AUDIO = 0x8000_0000;
/** While the other end has so much to read, audio is left out: it would be late, and memory is bounded. */
const MAX_WAITING_AUDIO = 4 * 1024 * 1024;

/** 20 ms that a program receives, or audio that it plays. */
export interface AudioMessage {
  readonly deviceId: string;
  /** The stream that it is of, where a program receives each by itself. */
  readonly streamId?: string;
  readonly pcm: Buffer;
}

/** Longest message: an SDP of the largest size with what JSON escapes, and the devices of a full host. */
const MAX_MESSAGE = 64 * 1024 * 1024;

/**
 * Messages over a stream socket, each after its length in four bytes, big-endian: JSON, or audio as two ids, each after its
 * length in one byte, and samples.
 */
export class MessageSocket<Incoming, Outgoing> {
  readonly #socket: Socket;
  readonly #onMessage: (message: Incoming) => void;
  readonly #onAudio: (message: AudioMessage) => void;
  #parts: Buffer[] = [];
  #size = 0;
  /** Bytes of the next message with its length; the length's own while that is not known. */
  #wanted = LENGTH_BYTES;
  #isAudio = false;

  /** @param onMessage, onAudio are not called after the socket was destroyed */
  constructor(
    socket: Socket,
    onMessage: (message: Incoming) => void,
    onAudio: (message: AudioMessage) => void,
  ) {
    this.#socket = socket;
    this.#onMessage = onMessage;
    this.#onAudio = onAudio;
    socket.on('data', (data) => this.#take(data));
    // `close` follows, and the owner of the socket listens for that.
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

  /** @returns false if it was left out, since too much waits */
  sendAudio({ deviceId, streamId = '', pcm }: AudioMessage): boolean {
    if (this.#socket.destroyed || this.#socket.writableLength > MAX_WAITING_AUDIO) return false;
    const length = 2 + deviceId.length + streamId.length + pcm.length;
    const frame = Buffer.allocUnsafe(LENGTH_BYTES + length);
    frame.writeUInt32BE((IS_AUDIO | length) >>> 0);
    let at = writeId(frame, LENGTH_BYTES, deviceId);
    at = writeId(frame, at, streamId);
    frame.set(pcm, at);
    // All programs of a host get their audio in the same turn: that is one write.
    if (this.#socket.writableCorked === 0) {
      this.#socket.cork();
      process.nextTick(() => this.#socket.uncork());
    }
    this.#socket.write(frame);
    return true;
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
      const first = whole.readUInt32BE();
      this.#isAudio = first >= IS_AUDIO;
      const length = this.#isAudio ? first - IS_AUDIO : first;
      if (length > MAX_MESSAGE) {
        this.#socket.destroy();
        return;
      }
      this.#wanted = LENGTH_BYTES + length;
      this.#parts = [whole];
      return;
    }
    const message = whole.subarray(LENGTH_BYTES, this.#wanted);
    const rest = whole.subarray(this.#wanted);
    this.#parts = rest.length > 0 ? [rest] : [];
    this.#size = rest.length;
    this.#wanted = LENGTH_BYTES;
    if (this.#isAudio) this.#takeAudio(message);
    else this.#takeJson(message.toString());
  }

  #takeJson(message: string): void {
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

  #takeAudio(message: Buffer): void {
    const idEnd = 1 + message[0]!;
    const streamEnd = idEnd + 1 + message[idEnd]!;
    const streamId = message.toString('latin1', idEnd + 1, streamEnd);
    this.#onAudio({
      deviceId: message.toString('latin1', 1, idEnd),
      ...(streamId !== '' && { streamId }),
      pcm: message.subarray(streamEnd),
    });
  }
}

/** Ids are ASCII. @returns where the id ends */
function writeId(frame: Buffer, at: number, id: string): number {
  frame[at] = id.length;
  return at + 1 + frame.write(id, at + 1, 'latin1');
}
