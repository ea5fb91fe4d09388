import type { Socket } from 'node:net';
import type { Endpoint, Flow, Received } from './flow.js';
import { StreamCutter } from './stream-cutter.js';

/** How long a connection that closes waits for its last bytes to leave. */
const FLUSH_MS = 500;

const PONG = Buffer.from('\r\n');

/** Bounds on one connection. */
export interface ConnectionLimits {
  /** Milliseconds without a byte after which it is closed. */
  readonly idleMs: number;
  /** Milliseconds that a half-received message may take to become whole. */
  readonly messageMs: number;
  /** Bytes that may wait to be written; a peer that does not read is closed beyond this. */
  readonly maxQueuedBytes: number;
}

export interface ConnectionEvents {
  received: Received;
  /** The stream broke: answer if there is a way, the connection closes after it. */
  broken: (head: Buffer, why: string, flow: Flow) => void;
  closed: (connection: Connection) => void;
}

/** One TCP or TLS connection, ours or the peer's. */
export class Connection implements Flow {
  readonly reliable = true;
  readonly transport: 'tcp' | 'tls';
  readonly local: Endpoint;
  readonly remote: Endpoint;
  readonly #socket: Socket;
  readonly #limits: ConnectionLimits;
  readonly #events: ConnectionEvents;
  readonly #cutter = new StreamCutter();
  #open = true;
  #partialTimer: NodeJS.Timeout | undefined;
  /** Told when writing fails or the connection closes before the bytes left. */
  readonly #unsent = new Set<(error: Error) => void>();

  constructor(
    transport: 'tcp' | 'tls',
    socket: Socket,
    ends: { local: Endpoint; remote: Endpoint },
    limits: ConnectionLimits,
    events: ConnectionEvents,
  ) {
    this.transport = transport;
    this.#socket = socket;
    this.local = ends.local;
    this.remote = ends.remote;
    this.#limits = limits;
    this.#events = events;
    socket.setNoDelay(true);
    socket.setTimeout(limits.idleMs, () => socket.destroy());
    socket.on('data', (chunk: Buffer) => this.#onData(chunk));
    socket.on('error', (error) => this.#fail(error));
    socket.on('close', () => this.#fail(new Error('connection closed')));
  }

  get open(): boolean {
    return this.#open;
  }

  send(bytes: Buffer, onFailure?: (error: Error) => void): void {
    if (!this.#open) {
      // Later, as a socket would: callers are not ready to be called back while they send.
      if (onFailure) setImmediate(onFailure, new Error('connection closed'));
      return;
    }
    if (onFailure) this.#unsent.add(onFailure);
    this.#socket.write(bytes, (error) => {
      if (!onFailure) return;
      if (!error) this.#unsent.delete(onFailure);
    });
    if (this.#socket.writableLength > this.#limits.maxQueuedBytes) this.#socket.destroy();
  }

  /** Closes when what was sent has left, or soon if the peer does not read it. */
  close(): void {
    this.#socket.destroySoon();
    setTimeout(() => this.#socket.destroy(), FLUSH_MS).unref();
  }

  #onData(chunk: Buffer): void {
    for (const piece of this.#cutter.push(chunk)) {
      if (piece.kind === 'message') this.#events.received(piece.bytes, this);
      else if (piece.kind === 'ping') this.send(PONG);
      else {
        this.#events.broken(piece.bytes, piece.why, this);
        this.#socket.destroySoon();
        return;
      }
    }
    this.#watchPartial();
  }

  #watchPartial(): void {
    if (!this.#cutter.partial) {
      clearTimeout(this.#partialTimer);
      this.#partialTimer = undefined;
    } else {
      this.#partialTimer ??= setTimeout(() => this.#socket.destroy(), this.#limits.messageMs);
    }
  }

  #fail(error: Error): void {
    if (!this.#open) return;
    this.#open = false;
    clearTimeout(this.#partialTimer);
    for (const onFailure of this.#unsent) onFailure(error);
    this.#unsent.clear();
    this.#socket.destroy();
    this.#events.closed(this);
  }
}
