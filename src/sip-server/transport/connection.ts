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

/** How long a connection that closes waits for its last bytes to leave. */
const FLUSH_MS = 500;

/** How long a peer that has closed its half waits for what it asked: as long as a transaction lasts. */
const HALF_CLOSED_MS = 32_000;

/** What may wait for each peer that does not read, once too much waits for all of them together. */
const FAIR_QUEUED_BYTES = 16_384;

const PONG = Buffer.from('\r\n');

/** Bounds on one connection. */
export interface ConnectionLimits {
  /** Milliseconds that a peer has for its first message, and a connection of ours to come about. */
  readonly firstMs: number;
  /** Milliseconds without a byte after which it is closed. */
  readonly idleMs: number;
  /** Milliseconds that a half-received message may take to become whole. */
  readonly messageMs: number;
  /** Bytes that may wait to be written; a peer that does not read is closed beyond this. */
  readonly maxQueuedBytes: number;
  /** The same for all connections together. */
  readonly maxQueuedInAll: number;
}

/** Why a connection was closed by us. */
export type ConnectionFault =
  /** No valid message came in time. */
  | 'silent'
  /** A message was begun and not ended in time. */
  | 'half'
  /** The peer does not read. */
  | 'unread';

interface ConnectionHandlers {
  received: Received;
  /** The stream broke: answer if there is a way, the connection closes after it. */
  broken: (head: Buffer, why: string, flow: Flow) => void;
  /** A message that made sense came. */
  heard: () => void;
  fault: (fault: ConnectionFault) => void;
  closed: (connection: Connection) => void;
}

/** Bytes that wait to be written, of all connections together. */
export interface Backlog {
  bytes: number;
}

/** One TCP or TLS connection, ours or the peer's. */
export class Connection implements Flow {
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
  /** This connection's part of the backlog. */
  #waiting = 0;
  #firstTimer: NodeJS.Timeout | undefined;
  #partialTimer: NodeJS.Timeout | undefined;
  #halfClosedTimer: NodeJS.Timeout | undefined;
  /** Requests of the peer without a final answer. */
  #unanswered = 0;
  /** Told when writing fails or the connection closes before the bytes left. */
  readonly #unsent = new Set<(error: Error) => void>();

  /** @param ours whether we opened it: then it is to come about, else it is to be used */
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
      // Later, as a socket would: callers are not ready to be called back while they send.
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

  /** Closes when what was sent has left, or soon if the peer does not read it. */
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

  /** The peer has said all that it had to say. It may still listen for the answers, and gets those. */
  #onEnd(): void {
    if (this.#unanswered === 0) this.close();
    else this.#halfClosedTimer ??= setTimeout(() => this.#socket.destroy(), HALF_CLOSED_MS);
  }

  /** @param whole whether something was ended, so that what has begun now is another message */
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

/** Whether a message is a request that gets an answer. */
function isAnswered(bytes: Buffer): boolean {
  return !startsWith(bytes, 'SIP/2.0 ') && !startsWith(bytes, 'ACK ');
}

function isFinalAnswer(bytes: Buffer): boolean {
  return startsWith(bytes, 'SIP/2.0 ') && !startsWith(bytes, 'SIP/2.0 1');
}

function startsWith(bytes: Buffer, text: string): boolean {
  return bytes.toString('latin1', 0, text.length) === text;
}

/** Whom TLS connections that this server opens may lead to. */
export interface TlsPeerOptions {
  /** Whether the peer must prove to be who its URI says (RFC 5922). */
  readonly verify: boolean;
  /** Authorities in PEM that may vouch for peers; without them, those that Node brings. */
  readonly ca?: TlsOptions['ca'];
}

/** Opens a TLS connection to a peer whose certificate must be for `name`; shows ours, if there is one. */
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

/** A SIP domain may stand as a URI in a certificate (RFC 5922 section 7.1), which Node does not look at. */
function identityFault(name: string, certificate: PeerCertificate): Error | undefined {
  const alternatives = (certificate.subjectaltname ?? '').split(', ');
  if (alternatives.includes(`URI:sip:${name.toLowerCase()}`)) return undefined;
  return checkServerIdentity(name, certificate);
}
