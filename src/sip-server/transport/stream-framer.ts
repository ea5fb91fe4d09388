import { contentLength, findHead, MAX_HEAD_BYTES, MAX_MESSAGE_BYTES, parseHead } from '../message/parse.js';

const NONE = Buffer.alloc(0);

const LEAST_CAPACITY = 1024;

/** The next element of a stream. */
type Piece =
  | { readonly kind: 'message'; readonly bytes: Buffer }
  /** A double CRLF: a keep-alive that asks for a pong (RFC 5626 section 3.5.1). */
  | { readonly kind: 'ping' }
  /** The stream cannot be parsed further. `bytes` is the faulty head. */
  | { readonly kind: 'broken'; readonly why: string; readonly bytes: Buffer };

/** Splits a byte stream into SIP messages by their Content-Length (RFC 3261 section 18.3), within limits. */
export class StreamFramer {
  readonly #queue = new ByteQueue();
  /** How far the end of the head has been searched for, so that slow senders cause no repeated searches. */
  #searched = 0;
  /** Length of the message whose body is not complete yet. */
  #awaited = 0;

  /** Takes bytes and returns what they complete. Nothing follows a `broken` piece. */
  push(chunk: Buffer): Piece[] {
    this.#queue.push(chunk);
    const pieces: Piece[] = [];
    for (let piece = this.#next(); piece; piece = this.#next()) {
      pieces.push(piece);
      if (piece.kind === 'broken') break;
    }
    return pieces;
  }

  /** Whether a message is incomplete. A line break alone may be a keep-alive. */
  get partial(): boolean {
    const { bytes } = this.#queue;
    return bytes.length > 2 || (bytes.length > 0 && bytes[0] !== 13);
  }

  #next(): Piece | undefined {
    if (this.#awaited === 0) {
      const ping = this.#takeKeepAlives();
      if (ping) return ping;
      const problem = this.#findLength();
      if (problem) return problem;
    }
    if (this.#awaited === 0 || this.#queue.length < this.#awaited) return undefined;
    const bytes = this.#take(this.#awaited);
    this.#awaited = 0;
    return { kind: 'message', bytes };
  }

  /** Several pings in a row get one pong: otherwise pongs would cost us more than pings cost the peer. */
  #takeKeepAlives(): Piece | undefined {
    const { bytes } = this.#queue;
    let at = 0;
    let pinged = false;
    for (;;) {
      // A lone line feed is no keep-alive, and starts no message.
      if (bytes[at] === 10) {
        at += 1;
        continue;
      }
      if (bytes[at] !== 13 || bytes[at + 1] !== 10) break;
      if (bytes[at + 2] === 13 && bytes[at + 3] === 10) {
        at += 4;
        pinged = true;
        continue;
      }
      const left = bytes.length - at;
      // One CRLF may be the first half of a ping: wait for the next byte.
      if (left === 2 || (left === 3 && bytes[at + 2] === 13)) break;
      at += 2;
    }
    if (at > 0) this.#take(at);
    return pinged ? { kind: 'ping' } : undefined;
  }

  #findLength(): Piece | undefined {
    const { bytes } = this.#queue;
    const found = findHead(bytes, this.#searched);
    if (!found || found.length > MAX_HEAD_BYTES) {
      this.#searched = bytes.length;
      if (bytes.length <= MAX_HEAD_BYTES) return undefined;
      return { kind: 'broken', why: 'headers too long', bytes: bytes.subarray(0, MAX_HEAD_BYTES) };
    }
    const headBytes = bytes.subarray(0, found.length);
    const head = parseHead(found.text());
    if (!head) return { kind: 'broken', why: 'not SIP', bytes: headBytes };
    const length = contentLength(head.message.headers);
    if (length === 'invalid') return { kind: 'broken', why: 'invalid Content-Length', bytes: headBytes };
    this.#awaited = found.length + (length === 'absent' ? 0 : length);
    if (this.#awaited > MAX_MESSAGE_BYTES)
      return { kind: 'broken', why: 'message too long', bytes: headBytes };
    return undefined;
  }

  #take(count: number): Buffer {
    this.#searched = 0;
    return this.#queue.take(count);
  }
}

/**
 * A queue of bytes. Appending takes time proportional to the new bytes, not to those that wait, so a sender of single
 * bytes costs no more. Bytes that were taken stay valid.
 */
export class ByteQueue {
  #buffer: Buffer = NONE;
  #start = 0;
  #end = 0;
  /** Whether we own the memory after the end and may write to it. */
  #own = false;

  get length(): number {
    return this.#end - this.#start;
  }

  /** The queued bytes. Do not write to them. */
  get bytes(): Buffer {
    return this.#buffer.subarray(this.#start, this.#end);
  }

  push(chunk: Buffer): void {
    if (this.length === 0) {
      this.#buffer = chunk;
      this.#start = 0;
      this.#end = chunk.length;
      this.#own = false;
      return;
    }
    if (!this.#own || this.#buffer.length - this.#end < chunk.length) this.#grow(chunk.length);
    chunk.copy(this.#buffer, this.#end);
    this.#end += chunk.length;
  }

  /** Takes bytes from the front. */
  take(count: number): Buffer {
    const taken = this.#buffer.subarray(this.#start, this.#start + count);
    this.#start += taken.length;
    return taken;
  }

  #grow(more: number): void {
    const { length } = this;
    const grown = Buffer.allocUnsafe(Math.max(LEAST_CAPACITY, (length + more) * 2));
    this.#buffer.copy(grown, 0, this.#start, this.#end);
    this.#buffer = grown;
    this.#start = 0;
    this.#end = length;
    this.#own = true;
  }
}
