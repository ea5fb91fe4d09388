import type { RawData, WebSocket } from 'ws';
import { type EndReason, mayResume, type PatchbayError } from '../../core/index.js';
import { type Clock, type Log, TokenBucket } from '../../shared/index.js';
import { KeepAlive } from '../keep-alive.js';
import type { IncomingMessage, JsonRpcFormat, RequestId, RpcError } from './json-rpc.js';
import type { BrowserLimits } from './limits.js';
import type { AnswerLine, Outcome, PageCall } from './page-calls.js';

/** Receives a socket's messages. */
export interface SocketUser {
  /** Answered by {@link ClientSocket.answer}, of this socket or of one that replaces it. */
  called(call: PageCall): void;
  notified(method: string, params: unknown): void;
  /** The socket is closed, by either side. Called once. */
  socketClosed(socket: ClientSocket, code: number): void;
}

/** One WebSocket of a browser: JSON-RPC framing, keep-alive, and the limits on what it may send. */
export class ClientSocket implements AnswerLine {
  readonly #socket: WebSocket;
  readonly #format: JsonRpcFormat;
  readonly #user: SocketUser;
  readonly #limits: BrowserLimits;
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #abused: () => void;
  readonly #messages: TokenBucket;
  readonly #bytes: TokenBucket;
  #invalid = 0;
  readonly #keepAlive: KeepAlive;

  constructor(options: {
    socket: WebSocket;
    format: JsonRpcFormat;
    user: SocketUser;
    limits: BrowserLimits;
    clock: Clock;
    log: Log;
    /** The socket is being closed because the page sent too much or something invalid, or does not read. Called once at most. */
    abused: () => void;
  }) {
    this.#socket = options.socket;
    this.#format = options.format;
    this.#user = options.user;
    this.#limits = options.limits;
    this.#clock = options.clock;
    this.#log = options.log;
    this.#abused = options.abused;
    const now = options.clock.monotonic();
    this.#messages = new TokenBucket(options.limits.messages, now);
    this.#bytes = new TokenBucket(options.limits.bytes, now);
    this.#keepAlive = new KeepAlive(options.socket, options.clock);
    this.#listen();
  }

  /** Milliseconds since the last message or pong. */
  get silentMs(): number {
    return this.#keepAlive.silentMs;
  }

  /** Sends a notification. It is lost when the socket is not open. */
  notify(method: string, params: object): void {
    this.#send(this.#format.notification(method, params));
  }

  answer(outcome: Outcome): void {
    const { id } = outcome;
    const isError = 'error' in outcome;
    this.#send(isError ? this.#format.error(id, outcome.error) : this.#format.result(id, outcome.result));
  }

  close({ code, reason }: SocketClose): void {
    this.#socket.close(code, reason);
  }

  /** Cuts the connection without a close frame. */
  terminate(): void {
    this.#socket.terminate();
  }

  #listen(): void {
    this.#socket.on('message', (data, isBinary) => this.#receive(data, isBinary));
    // Malformed WebSocket frames, or a message that is too long: ws closes the socket with the right code.
    this.#socket.on('error', (error) => {
      this.#log.debug({ err: error }, 'browser socket failed');
      this.#abused();
    });
    this.#socket.once('close', (code) => this.#user.socketClosed(this, code));
  }

  #receive(data: RawData, isBinary: boolean): void {
    if (this.#socket.readyState !== this.#socket.OPEN) return;
    if (isBinary) {
      this.shutOut({ code: 1003, reason: 'Messages must be text.' });
      return;
    }
    // With the default binaryType, ws hands every message over as one Buffer.
    const bytes = data as Buffer;
    const now = this.#clock.monotonic();
    if (!this.#messages.take(now) || !this.#bytes.take(now, bytes.length)) {
      this.shutOut({ code: 1008, reason: 'Too many messages.' });
      return;
    }
    this.#dispatch(this.#format.parse(bytes.toString('utf8')));
  }

  #dispatch(message: IncomingMessage): void {
    switch (message.type) {
      case 'call':
        this.#user.called(message);
        return;
      case 'notification':
        this.#user.notified(message.method, message.params);
        return;
      case 'invalid':
        this.#refuse(message.id, message.error);
    }
  }

  #refuse(id: RequestId | null, error: RpcError): void {
    this.#invalid += 1;
    if (this.#invalid > this.#limits.invalidMessages) {
      this.shutOut({ code: 1008, reason: 'Too many invalid messages.' });
      return;
    }
    this.#send(this.#format.error(id, error));
  }

  /** Closes the socket because of what its page did. */
  shutOut(close: SocketClose): void {
    this.#abused();
    this.close(close);
  }

  #send(text: string): void {
    if (this.#socket.readyState !== this.#socket.OPEN) return;
    if (this.#socket.bufferedAmount > this.#limits.outgoingBytes) {
      this.#log.warn({}, 'a browser does not read its socket');
      this.#abused();
      this.terminate();
      return;
    }
    this.#socket.send(text);
  }
}

/** A WebSocket close (RFC 6455 section 7.4). Clients do not reconnect after 1000; after any other code they do. */
export interface SocketClose {
  readonly code: number;
  /** At most 123 bytes. */
  readonly reason: string;
}

/** The close code for a connection that ended: one after which the client reconnects, if it may. */
export function closeFor(reason: EndReason): SocketClose {
  if (!mayResume(reason)) return { code: 1000, reason };
  return { code: reason === 'shutdown' ? 1012 : 1011, reason };
}

/** How a page is refused. After 1000 its client does not try again. */
export function closeForError({ code, httpStatus, message }: PatchbayError): SocketClose {
  if (code === 'PATCHBAY_SHUTTING_DOWN') return { code: 1012, reason: 'shutdown' };
  if (code === 'PATCHBAY_NO_LEADER') return { code: 1012, reason: 'no leader' };
  if (code === 'PATCHBAY_TOO_MANY_CALLS') return { code: 1013, reason: 'too many calls of the account' };
  return { code: httpStatus === 503 ? 1013 : 1000, reason: message };
}
