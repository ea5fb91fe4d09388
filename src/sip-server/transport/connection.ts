import { isIP, type Socket } from 'node:net';
import {
  checkServerIdentity,
  connect,
  type PeerCertificate,
  type TlsOptions,
  type TLSSocket,
} from 'node:tls';
import type { Endpoint, Flow, Received } from './flow.js';
import { StreamFramer } from './stream-framer.js';

/** How long a closing connection may take to send its last bytes. */
const FLUSH_MS = 500;

/** How long a peer that has closed its sending half may wait for responses: as long as a transaction lasts. */
const HALF_CLOSED_MS = 32_000;

/** Bytes that may be queued for one slow peer once the queues of all peers together exceed their limit. */
const FAIR_QUEUED_BYTES = 16_384;

const PONG = Buffer.from('\r\n');

/** Limits of one connection. */
export interface ConnectionLimits {
  /** How long the peer may take to send its first message, or our own connection to be established, in ms. */
  readonly firstMs: number;
  /** How long it may be idle before it is closed, in ms. */
  readonly idleMs: number;
  /** How long a partly received message may take to become complete, in ms. */
  readonly messageMs: number;
  /** Most bytes queued for writing. Beyond this the connection is closed. */
  readonly maxQueuedBytes: number;
  /** The same for all connections together. */
  readonly maxQueuedInAll: number;
}

/** Why we closed a connection. */
export type ConnectionFault =
  /** No valid message came in time. */
  | 'silent'
  /** A message was not completed in time. */
  | 'half'
  /** The peer does not read. */
  | 'unread';

interface ConnectionHandlers {
  received: Received;
  /** The stream cannot be parsed further: respond if possible, then the connection closes. */
  broken: (head: Buffer, why: string, flow: Flow) => void;
  /** A valid message came. */
  heard: () => void;
  fault: (fault: ConnectionFault) => void;
  closed: (connection: StreamConnection) => void;
}

/** Bytes queued for writing, on all connections together. */
export interface Backlog {
  bytes: number;
}

/** One TCP or TLS connection, opened by us or by the peer. */
export class StreamConnection implements Flow {
  readonly reliable = true;
  readonly transport: 'tcp' | 'tls';
  readonly local: Endpoint;
  readonly remote: Endpoint;
  readonly #socket: Socket;
  readonly #limits: ConnectionLimits;
  readonly #handlers: ConnectionHandlers;
  readonly #backlog: Backlog;
  readonly #cutter = new StreamFramer();
  #open = true;
  /** This connection's share of the backlog. */
  #waiting = 0;
  #firstTimer: NodeJS.Timeout | undefined;
  #partialTimer: NodeJS.Timeout | undefined;
  #halfClosedTimer: NodeJS.Timeout | undefined;
  /** Requests of the peer without a final response. */
  #unanswered = 0;
  /** Called when writing fails, or when the connection closes before the bytes were sent. */
  readonly #unsent = new Set<(error: Error) => void>();

  /** @param ours whether we opened it: `firstMs` then limits connecting, otherwise the wait for a first message */
  constructor(
    transport: 'tcp' | 'tls',
    socket: Socket,
    ends: { local: Endpoint; remote: Endpoint },
    ours: boolean,
    limits: ConnectionLimits,
    backlog: Backlog,
    handlers: ConnectionHandlers,
  ) {
    this.transport = transport;
    this.#socket = socket;
    this.local = ends.local;
    this.remote = ends.remote;
    this.#limits = limits;
    this.#backlog = backlog;
    this.#handlers = handlers;
    socket.setNoDelay(true);
    socket.setTimeout(limits.idleMs, () => socket.destroy());
    this.#firstTimer = setTimeout(() => this.#end('silent'), limits.firstMs);
    if (ours) socket.once(transport === 'tls' ? 'secureConnect' : 'connect', () => this.#begun());
    socket.on('data', (chunk: Buffer) => this.#onData(chunk));
    socket.on('end', () => this.#onEnd());
    socket.on('error', (error) => this.#fail(error));
    socket.on('close', () => this.#fail(new Error('connection closed')));
  }

  get open(): boolean {
    return this.#open;
  }

  send(bytes: Buffer, onFailure?: (error: Error) => void): void {
    if (!this.#open) {
      // Asynchronously, as a socket would: callers do not expect a callback while they send.
      if (onFailure) setImmediate(onFailure, new Error('connection closed'));
      return;
    }
    if (onFailure) this.#unsent.add(onFailure);
    if (isFinalAnswer(bytes)) this.#unanswered = Math.max(0, this.#unanswered - 1);
    this.#queued(bytes.length);
    this.#socket.write(bytes, (error) => {
      if (this.#open) this.#queued(-bytes.length);
      if (onFailure && !error) this.#unsent.delete(onFailure);
    });
    const { maxQueuedBytes, maxQueuedInAll } = this.#limits;
    const tooMuch = this.#backlog.bytes > maxQueuedInAll && this.#waiting > FAIR_QUEUED_BYTES;
    if (this.#waiting > maxQueuedBytes || tooMuch) this.#end('unread');
    else if (this.#halfClosedTimer && this.#unanswered === 0) this.close();
  }

  /** Closes after the queued bytes are sent, or soon if the peer does not read them. */
  close(): void {
    this.#socket.destroySoon();
    setTimeout(() => this.#socket.destroy(), FLUSH_MS).unref();
  }

  /** Closes at once. */
  destroy(): void {
    this.#socket.destroy();
  }

  #onData(chunk: Buffer): void {
    let whole = false;
    for (const piece of this.#cutter.push(chunk)) {
      whole = true;
      if (piece.kind === 'message') {
        if (isAnswered(piece.bytes)) this.#unanswered += 1;
        if (this.#handlers.received(piece.bytes, this)) {
          this.#begun();
          this.#handlers.heard();
        }
      } else if (piece.kind === 'ping') this.send(PONG);
      else {
        this.#handlers.broken(piece.bytes, piece.why, this);
        this.close();
        return;
      }
    }
    this.#watchPartial(whole);
  }

  /** The peer has closed its sending half. It may still read, so it gets the responses that it waits for. */
  #onEnd(): void {
    if (this.#unanswered === 0) this.close();
    else this.#halfClosedTimer ??= setTimeout(() => this.#socket.destroy(), HALF_CLOSED_MS);
  }

  /** @param whole whether a message was completed, so that a partial one is a new message */
  #watchPartial(whole: boolean): void {
    if (whole || !this.#cutter.partial) {
      clearTimeout(this.#partialTimer);
      this.#partialTimer = undefined;
    }
    if (this.#cutter.partial) {
      this.#partialTimer ??= setTimeout(() => this.#end('half'), this.#limits.messageMs);
    }
  }

  #begun(): void {
    clearTimeout(this.#firstTimer);
    this.#firstTimer = undefined;
  }

  #queued(bytes: number): void {
    this.#waiting += bytes;
    this.#backlog.bytes += bytes;
  }

  #end(fault: ConnectionFault): void {
    if (!this.#open) return;
    this.#handlers.fault(fault);
    this.#socket.destroy();
  }

  #fail(error: Error): void {
    if (!this.#open) return;
    this.#open = false;
    this.#queued(-this.#waiting);
    this.#begun();
    clearTimeout(this.#partialTimer);
    clearTimeout(this.#halfClosedTimer);
    for (const onFailure of this.#unsent) onFailure(error);
    this.#unsent.clear();
    this.#socket.destroy();
    this.#handlers.closed(this);
  }
}

/** Whether a message is a request that gets a response. */
function isAnswered(bytes: Buffer): boolean {
  return !startsWith(bytes, 'SIP/2.0 ') && !startsWith(bytes, 'ACK ');
}

function isFinalAnswer(bytes: Buffer): boolean {
  return startsWith(bytes, 'SIP/2.0 ') && !startsWith(bytes, 'SIP/2.0 1');
}

function startsWith(bytes: Buffer, text: string): boolean {
  return bytes.toString('latin1', 0, text.length) === text;
}

/** How to check the certificates of servers we connect to. */
export interface TlsPeerOptions {
  /** Whether the certificate must be for the host of the URI (RFC 5922). */
  readonly verify: boolean;
  /** Trusted authorities in PEM; default: Node's own list. */
  readonly ca?: TlsOptions['ca'];
}

/** Opens a TLS connection to a peer whose certificate must be for `name`, with our own certificate if we have one. */
export function connectToTlsPeer(
  remote: Endpoint,
  name: string,
  options: TlsPeerOptions,
  own: Pick<TlsOptions, 'cert' | 'key'>,
): TLSSocket {
  return connect({
    ...own,
    host: remote.host,
    port: remote.port,
    ...(isIP(name) === 0 ? { servername: name } : {}),
    ...(options.ca === undefined ? {} : { ca: options.ca }),
    rejectUnauthorized: options.verify,
    checkServerIdentity: (_host, certificate) => identityFault(name, certificate),
  });
}

/** A certificate may name a SIP domain as a URI (RFC 5922 section 7.1), which Node does not check. */
function identityFault(name: string, certificate: PeerCertificate): Error | undefined {
  const alternatives = (certificate.subjectaltname ?? '').split(', ');
  if (alternatives.includes(`URI:sip:${name.toLowerCase()}`)) return undefined;
  return checkServerIdentity(name, certificate);
}
