import { contentLength, MAX_HEAD_BYTES, MAX_MESSAGE_BYTES, parseHead } from '../message/parse.js';

/** What a stream holds next. */
export type Piece =
  | { readonly kind: 'message'; readonly bytes: Buffer }
  /** A double CRLF: the peer asks for a pong (RFC 5626 section 3.5.1). */
  | { readonly kind: 'ping' }
  /** The stream cannot be followed any further; `bytes` is the head that broke it. */
  | { readonly kind: 'broken'; readonly why: string; readonly bytes: Buffer };

const END = Buffer.from('\r\n\r\n');

/** Cuts a byte stream into SIP messages by their Content-Length (RFC 3261 section 18.3), within bounds. */
export class StreamCutter {
  #buffer: Buffer = Buffer.alloc(0);
  /** Where looking for the end of the head goes on, so that slow senders cost no repeated search. */
  #searched = 0;
  /** Length of the message whose body is awaited. */
  #awaited = 0;

  /** Takes bytes in and returns the pieces that they complete. Nothing follows a broken piece. */
  push(chunk: Buffer): Piece[] {
    this.#buffer = this.#buffer.length === 0 ? chunk : Buffer.concat([this.#buffer, chunk]);
    const pieces: Piece[] = [];
    for (let piece = this.#next(); piece; piece = this.#next()) {
      pieces.push(piece);
      if (piece.kind === 'broken') break;
    }
    return pieces;
  }

  /** Whether a message has begun and not ended. */
  get partial(): boolean {
    return this.#buffer.length > 0;
  }

  #next(): Piece | undefined {
    if (this.#awaited === 0) {
      const ping = this.#takeKeepAlive();
      if (ping) return ping;
      const problem = this.#findLength();
      if (problem) return problem;
    }
    if (this.#awaited === 0 || this.#buffer.length < this.#awaited) return undefined;
    const bytes = this.#take(this.#awaited);
    this.#awaited = 0;
    return { kind: 'message', bytes };
  }

  #takeKeepAlive(): Piece | undefined {
    while (this.#buffer.length >= 2 && this.#buffer[0] === 13 && this.#buffer[1] === 10) {
      if (this.#buffer.length >= 4 && this.#buffer[2] === 13 && this.#buffer[3] === 10) {
        this.#take(4);
        return { kind: 'ping' };
      }
      // One CRLF may be the first half of a ping; only another byte can tell.
      if (this.#buffer.length < 4 && (this.#buffer.length === 2 || this.#buffer[2] === 13)) return undefined;
      this.#take(2);
    }
    return undefined;
  }

  #findLength(): Piece | undefined {
    const end = this.#buffer.indexOf(END, Math.max(0, this.#searched - 3));
    if (end < 0 || end > MAX_HEAD_BYTES) {
      this.#searched = this.#buffer.length;
      if (this.#buffer.length <= MAX_HEAD_BYTES) return undefined;
      return { kind: 'broken', why: 'headers too long', bytes: this.#buffer.subarray(0, MAX_HEAD_BYTES) };
    }
    const headBytes = this.#buffer.subarray(0, end + 4);
    const head = parseHead(headBytes.toString('latin1', 0, end));
    if (!head) return { kind: 'broken', why: 'not SIP', bytes: headBytes };
    const length = contentLength(head.message.headers);
    if (length === 'invalid') return { kind: 'broken', why: 'invalid Content-Length', bytes: headBytes };
    this.#awaited = end + 4 + (length === 'absent' ? 0 : length);
    if (this.#awaited > MAX_MESSAGE_BYTES)
      return { kind: 'broken', why: 'message too long', bytes: headBytes };
    return undefined;
  }

  #take(count: number): Buffer {
    const taken = this.#buffer.subarray(0, count);
    this.#buffer = this.#buffer.subarray(count);
    this.#searched = 0;
    return taken;
  }
}
