import { createCipheriv, createDecipheriv, createSecretKey, type KeyObject } from 'node:crypto';
import type { Socket } from 'node:net';
import type { ConnectionKeys } from './handshake.js';
import type { Incoming } from './incoming.js';

/** Most plain bytes in a record. */
const MAX_RECORD = 64 * 1024;
const LENGTH_BYTES = 4;
const TAG_BYTES = 16;
/** Length and type of a frame. */
const FRAME_HEADER = 3;
/** Longest body of a frame. */
const MAX_FRAME = 32 * 1024;

/** So many bytes, or so long, may wait for the other end to read them before media frames are dropped. */
const MAX_WAITING_BYTES = 1024 * 1024;
const MAX_WAITING_MS = 500;
/**
 * Least time between two records. A record costs the same for one packet as for many; without this, a pipe would cost more
 * for each packet than a browser that receives it. What comes after a longer pause goes out at once.
 */
const GATHER_MS = 3;
/** When so much waits, though only frames that must not be dropped are added, the connection is given up. */
const MAX_BACKLOG = 8 * 1024 * 1024;
/** Time in which the other end must show that it has the key. */
const PROOF_MS = 5000;

/** The first frame of each end: it shows that the end has the key. Later ones show that it is still there. */
const PROOF = 0;

const NOTHING = Buffer.alloc(0);

/** What went over connections, tags and lengths included. */
export interface ByteCounts {
  bytesSent: number;
  bytesReceived: number;
}

interface ChannelHandlers {
  /** The other end has the key. */
  onOpen(): void;
  /**
   * @param type not 0 @param bytes valid during the call; the body is `bytes[start, end)`
   * @throws Error when the frame makes no sense: the connection is given up
   */
  onFrame(type: number, bytes: Buffer, start: number, end: number): void;
  /** Called once. @param reason why, unless the other end closed it */
  onClosed(reason: Error | undefined): void;
}

/**
 * Carries frames over a stream connection, sealed by AES-256-GCM. Frames go out in records: at the end of this turn of the
 * event loop, or {@link GATHER_MS} after the record before, whichever is later.
 */
export class RecordChannel {
  /** Where the bodies of frames are written, at the index that {@link reserve} returns. */
  readonly out = Buffer.allocUnsafeSlow(MAX_RECORD);
  readonly #socket: Socket;
  readonly #counts: ByteCounts;
  readonly #handlers: ChannelHandlers;
  readonly #sealing: RecordCipher;
  readonly #opening: RecordCipher;
  readonly #proof: NodeJS.Timeout;
  #length = 0;
  #sentAt = -Infinity;
  /** The start of a record whose end has not come yet. */
  #pending: Buffer = NOTHING;
  #isOpen = false;
  #isClosed = false;
  #reason: Error | undefined;
  /** Since when the other end has left something unread (ms). */
  #waitingSince: number | undefined;
  /** The other end does not keep up: media frames are to be dropped. */
  isCongested = false;

  constructor(
    socket: Socket,
    incoming: Incoming,
    keys: ConnectionKeys,
    counts: ByteCounts,
    handlers: ChannelHandlers,
  ) {
    this.#socket = socket;
    this.#counts = counts;
    this.#handlers = handlers;
    this.#sealing = new RecordCipher(keys.sending);
    this.#opening = new RecordCipher(keys.receiving);
    this.#proof = setTimeout(() => this.close(new Error('The other end says nothing.')), PROOF_MS).unref();
    socket.on('drain', () => {
      this.#waitingSince = undefined;
      this.isCongested = false;
    });
    socket.on('close', () => this.#onClose());
    queueMicrotask(() => {
      // It may have been closed since the greeting.
      if (socket.destroyed) this.#onClose();
      else incoming.handTo((bytes) => this.#onData(bytes));
    });
    this.reserve(PROOF, 0);
  }

  get isOpen(): boolean {
    return this.#isOpen && !this.#isClosed;
  }

  /**
   * Adds a frame, to be sent with the next record; once closed, it goes nowhere.
   * @returns index in {@link out} for its body, to be written at once
   */
  reserve(type: number, length: number): number {
    if (length > MAX_FRAME) throw new RangeError(`A frame of ${length} bytes is too long.`);
    if (this.#length + FRAME_HEADER + length > MAX_RECORD) this.#flush();
    if (this.#length === 0) this.#schedule();
    const at = this.#length;
    this.out.writeUInt16BE(length, at);
    this.out[at + 2] = type;
    this.#length += FRAME_HEADER + length;
    return at + FRAME_HEADER;
  }

  /** Shows the other end that this one is still there. */
  beat(): void {
    this.reserve(PROOF, 0);
  }

  /** @param reason for the log */
  close(reason?: Error): void {
    if (this.#isClosed) return;
    this.#reason = reason;
    this.#socket.destroy();
    this.#onClose();
  }

  #schedule(): void {
    if (performance.now() - this.#sentAt < GATHER_MS) setTimeout(this.#onDue, GATHER_MS);
    else setImmediate(this.#onDue);
  }

  readonly #onDue = (): void => this.#flush();

  #flush(): void {
    const length = this.#length;
    this.#length = 0;
    if (this.#isClosed || length === 0) return;
    this.#sentAt = performance.now();
    const record = this.#sealing.seal(this.out.subarray(0, length));
    this.#counts.bytesSent += record.length;
    if (!this.#socket.write(record)) this.#onWaiting();
  }

  #onWaiting(): void {
    const now = performance.now();
    this.#waitingSince ??= now;
    const waiting = this.#socket.writableLength;
    if (waiting > MAX_WAITING_BYTES || now - this.#waitingSince > MAX_WAITING_MS) this.isCongested = true;
    if (waiting > MAX_BACKLOG) this.close(new Error('The other end reads nothing.'));
  }

  /** @param bytes valid during the call */
  #onData(bytes: Buffer): void {
    this.#counts.bytesReceived += bytes.length;
    try {
      this.#read(this.#pending.length > 0 ? Buffer.concat([this.#pending, bytes]) : bytes);
    } catch (error) {
      this.close(error instanceof Error ? error : new Error(String(error)));
    }
  }

  #read(bytes: Buffer): void {
    let at = 0;
    while (!this.#isClosed && bytes.length - at >= LENGTH_BYTES) {
      const length = bytes.readUInt32BE(at);
      if (length > MAX_RECORD + TAG_BYTES) throw new Error('A record is too long.');
      const end = at + LENGTH_BYTES + length;
      if (end > bytes.length) break;
      this.#readFrames(this.#opening.open(bytes.subarray(at, end)));
      at = end;
    }
    this.#pending = at < bytes.length ? Buffer.from(bytes.subarray(at)) : NOTHING;
  }

  #readFrames(plain: Buffer): void {
    if (!this.#isOpen) this.#onProof();
    for (let at = 0; at < plain.length && !this.#isClosed;) {
      const start = at + FRAME_HEADER;
      const end = start + (start <= plain.length ? plain.readUInt16BE(at) : 0);
      if (start > plain.length || end > plain.length) throw new Error('A frame is longer than its record.');
      const type = plain[at + 2]!;
      if (type !== PROOF) this.#handlers.onFrame(type, plain, start, end);
      at = end;
    }
  }

  #onProof(): void {
    clearTimeout(this.#proof);
    this.#isOpen = true;
    this.#handlers.onOpen();
  }

  #onClose(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    clearTimeout(this.#proof);
    this.#handlers.onClosed(this.#reason ?? this.#socket.errored ?? undefined);
  }
}

/** One direction's cipher. The nonce counts records: the key is that of one connection. */
class RecordCipher {
  readonly #key: KeyObject;
  readonly #nonce = Buffer.alloc(12);
  #count = 0;

  constructor(key: Buffer) {
    this.#key = createSecretKey(key);
  }

  /** @returns length, sealed bytes and tag, in memory of their own */
  seal(plain: Buffer): Buffer {
    const record = Buffer.allocUnsafe(LENGTH_BYTES + plain.length + TAG_BYTES);
    record.writeUInt32BE(plain.length + TAG_BYTES);
    const cipher = createCipheriv('aes-256-gcm', this.#key, this.#nextNonce());
    cipher.update(plain).copy(record, LENGTH_BYTES);
    cipher.final();
    cipher.getAuthTag().copy(record, LENGTH_BYTES + plain.length);
    return record;
  }

  /** @throws Error when the record was not sealed with the key, or is not the next one */
  open(record: Buffer): Buffer {
    const tagAt = record.length - TAG_BYTES;
    if (tagAt < LENGTH_BYTES) throw new Error('A record is too short.');
    const decipher = createDecipheriv('aes-256-gcm', this.#key, this.#nextNonce(), {
      authTagLength: TAG_BYTES,
    });
    decipher.setAuthTag(record.subarray(tagAt));
    const plain = decipher.update(record.subarray(LENGTH_BYTES, tagAt));
    try {
      decipher.final();
    } catch (error) {
      throw new Error('A record is not authentic.', { cause: error });
    }
    return plain;
  }

  #nextNonce(): Buffer {
    this.#nonce.writeUInt32BE(Math.floor(this.#count / 2 ** 32), 4);
    this.#nonce.writeUInt32BE(this.#count >>> 0, 8);
    this.#count += 1;
    return this.#nonce;
  }
}
