import { contentLength, findHead, MAX_HEAD_BYTES, MAX_MESSAGE_BYTES, parseHead } from '../message/parse.js';

const NONE = Buffer.alloc(0);

const LEAST_CAPACITY = 1024;

/** What a stream holds next. */
type Piece =
  | { readonly kind: 'message'; readonly bytes: Buffer }
  /** A double CRLF: the peer asks for a pong (RFC 5626 section 3.5.1). */
  | { readonly kind: 'ping' }
  /** The stream cannot be followed any further; `bytes` is the head that broke it. */
  | { readonly kind: 'broken'; readonly why: string; readonly bytes: Buffer };

/** Cuts a byte stream into SIP messages by their Content-Length (RFC 3261 section 18.3), within bounds. */
export class StreamFramer {
  readonly #queue = new ByteQueue();
  /** Where looking for the end of the head goes on, so that slow senders cost no repeated search. */
  #searched = 0;
  /** Length of the message whose body is awaited. */
  #awaited = 0;

  /** Takes bytes in and returns the pieces that they complete. Nothing follows a broken piece. */
  push(chunk: Buffer): Piece[] {
    this.#queue.push(chunk);
    const pieces: Piece[] = [];
    for (let piece = this.#next(); piece; piece = this.#next()) {
      pieces.push(piece);
      if (piece.kind === 'broken') break;
    }
    return pieces;
  }

  /** Whether a message has begun and not ended; a line break alone may be a keep-alive. */
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

  /** Several pings in a row are one: each pong would cost us more than its ping costs the peer. */
  #takeKeepAlives(): Piece | undefined {
    const { bytes } = this.#queue;
    let at = 0;
    let pinged = false;
    for (;;) {
      // A line feed alone is no keep-alive, and begins no message.
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
      // One CRLF may be the first half of a ping; only another byte can tell.
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
 * Bytes of a stream that wait for more. They are appended in time by what comes, not by what waits: who sends byte by
 * byte costs no more than the bytes. What was taken stays valid.
 */
export class ByteQueue {
  #buffer: Buffer = NONE;
  #start = 0;
  #end = 0;
  /** Whether there may be room after the end that nobody else writes to. */
  #own = false;

  get length(): number {
    return this.#end - this.#start;
  }

  /** What waits; not to be written to. */
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
