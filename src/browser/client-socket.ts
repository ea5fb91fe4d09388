import type { RawData, WebSocket } from 'ws';
import type { Clock, Timer } from '../core/index.js';
import type { SocketClose } from './close-codes.js';
import { type IncomingMessage, type JsonRpcFormat, type RequestId, RpcError } from './json-rpc.js';
import type { BrowserLimits } from './limits.js';
import type { BrowserLog } from './log.js';
import { TokenBucket } from './token-bucket.js';

/** Whom a socket's messages are for. */
export interface SocketUser {
  /** @returns the result. A rejection with an RpcError is told to the client; any other as an internal error */
  call(method: string, params: unknown): Promise<object>;
  notified(method: string, params: unknown): void;
  /** The socket is gone, whoever closed it. Called once. */
  socketClosed(socket: ClientSocket, code: number): void;
}

/** How often a socket is asked for a sign of life, and how long that may take. */
export const KEEPALIVE_MS = 4_000;

/** How many calls of a client may have been on their way when its socket was lost. */
const CALLS_IN_FLIGHT = 2;

/** One WebSocket of a browser: JSON-RPC framing, keep-alive, and the limits on what it may send. */
export class ClientSocket {
  readonly #socket: WebSocket;
  readonly #format: JsonRpcFormat;
  readonly #user: SocketUser;
  readonly #limits: BrowserLimits;
  readonly #clock: Clock;
  readonly #log: BrowserLog;
  readonly #messages: TokenBucket;
  readonly #bytes: TokenBucket;
  #invalid = 0;
  /** Highest id of a call so far; the clients count from 1, over all sockets of a page. */
  #lastCallId = 0;
  #heard = true;
  #keepalive: Timer;

  constructor(options: {
    socket: WebSocket;
    format: JsonRpcFormat;
    user: SocketUser;
    limits: BrowserLimits;
    clock: Clock;
    log: BrowserLog;
  }) {
    this.#socket = options.socket;
    this.#format = options.format;
    this.#user = options.user;
    this.#limits = options.limits;
    this.#clock = options.clock;
    this.#log = options.log;
    const now = options.clock.now();
    this.#messages = new TokenBucket(options.limits.messages, now);
    this.#bytes = new TokenBucket(options.limits.bytes, now);
    this.#keepalive = this.#scheduleKeepalive();
    this.#listen();
  }

  /** Sends a notification; one that cannot be sent is lost, as it would be with the socket. */
  notify(method: string, params: object): void {
    this.#send(this.#format.notification(method, params));
  }

  /**
   * Answers, with an error, calls that may have been lost with the socket before this one, on the way here or
   * back: a client waits for them for ever, and does not take the next offer meanwhile. It ignores answers to
   * calls that it does not wait for.
   */
  failCallsLostWith(before: ClientSocket): void {
    const last = before.#lastCallId;
    if (last === 0) return;
    this.#lastCallId = last;
    const error = new RpcError('rejected', 'The connection was lost during the call.');
    for (let id = last; id <= last + CALLS_IN_FLIGHT; id += 1) this.#send(this.#format.error(id, error));
  }

  close({ code, reason }: SocketClose): void {
    this.#socket.close(code, reason);
  }

  /** Cuts the connection without a word. */
  terminate(): void {
    this.#socket.terminate();
  }

  #listen(): void {
    this.#socket.on('message', (data, isBinary) => {
      this.#heard = true;
      this.#receive(data, isBinary);
    });
    this.#socket.on('pong', () => (this.#heard = true));
    this.#socket.on('error', (error) => this.#log.debug({ err: error }, 'browser socket failed'));
    this.#socket.once('close', (code) => {
      this.#keepalive.cancel();
      this.#user.socketClosed(this, code);
    });
  }

  #scheduleKeepalive(): Timer {
    return this.#clock.setTimeout(() => {
      if (!this.#heard) {
        this.terminate();
        return;
      }
      this.#heard = false;
      this.#socket.ping();
      this.#keepalive = this.#scheduleKeepalive();
    }, KEEPALIVE_MS);
  }

  #receive(data: RawData, isBinary: boolean): void {
    if (this.#socket.readyState !== this.#socket.OPEN) return;
    if (isBinary) {
      this.close({ code: 1003, reason: 'Messages are text.' });
      return;
    }
    // With the default binaryType, ws hands every message over as one Buffer.
    const bytes = data as Buffer;
    const now = this.#clock.now();
    if (!this.#messages.take(now) || !this.#bytes.take(now, bytes.length)) {
      this.close({ code: 1008, reason: 'Too many messages.' });
      return;
    }
    this.#dispatch(this.#format.parse(bytes.toString('utf8')));
  }

  #dispatch(message: IncomingMessage): void {
    switch (message.type) {
      case 'call':
        void this.#answer(message.id, message.method, message.params);
        return;
      case 'notification':
        this.#user.notified(message.method, message.params);
        return;
      case 'invalid':
        this.#refuse(message.id, message.error);
    }
  }

  async #answer(id: RequestId, method: string, params: unknown): Promise<void> {
    if (typeof id === 'number' && Number.isSafeInteger(id)) this.#lastCallId = Math.max(this.#lastCallId, id);
    try {
      this.#send(this.#format.result(id, await this.#user.call(method, params)));
    } catch (error) {
      this.#send(this.#format.error(id, this.#asRpcError(method, error)));
    }
  }

  #asRpcError(method: string, error: unknown): RpcError {
    if (error instanceof RpcError) return error;
    this.#log.error({ err: error, method }, 'a browser call failed');
    return new RpcError('internalError', 'Something went wrong in the gateway.', { cause: error });
  }

  #refuse(id: RequestId | null, error: RpcError): void {
    this.#invalid += 1;
    if (this.#invalid > this.#limits.invalidMessages) {
      this.close({ code: 1008, reason: 'Too many invalid messages.' });
      return;
    }
    this.#send(this.#format.error(id, error));
  }

  #send(text: string): void {
    if (this.#socket.readyState !== this.#socket.OPEN) return;
    if (this.#socket.bufferedAmount > this.#limits.outgoingBytes) {
      this.#log.warn({}, 'a browser does not read its socket');
      this.terminate();
      return;
    }
    this.#socket.send(text);
  }
}
