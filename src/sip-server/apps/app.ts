import type { Socket } from 'node:net';
import type { SipMessage } from '../message/message.js';
import { ByteQueue } from '../transport/stream-framer.js';
import { cdrFrame } from './wire.js';

const MAX_FRAME_BYTES = 262_144;
/** Longest frame before authentication: enough for a secret and tags. */
const MAX_FRAME_BEFORE_SECRET = 4096;
/** How long an application may take to authenticate. */
const SECRET_MS = 10_000;
const MAX_LENGTH_DIGITS = 6;

/** What an application's connection reports. */
interface AppHandlers {
  message(app: App, line: string, sip: Buffer): void;
  closed(app: App): void;
  /** It did not authenticate in time. */
  silent(app: App): void;
  backlogged(app: App): void;
}

/** An application, to which messages go. */
export interface Application {
  readonly tags: readonly string[];
  readonly connected: boolean;
  /** Writes one frame of the admin protocol. */
  send(bytes: Buffer): void;
}

/** The connection of one application: splits its stream into admin-protocol messages, and writes to it. */
export class App implements Application {
  readonly #socket: Socket;
  readonly #handlers: AppHandlers;
  readonly #maxQueuedBytes: number;
  readonly #queue = new ByteQueue();
  readonly #secretTimer: NodeJS.Timeout;
  #authenticated = false;
  tags: readonly string[] = [];
  connected = true;

  constructor(socket: Socket, maxQueuedBytes: number, handlers: AppHandlers) {
    this.#socket = socket;
    this.#handlers = handlers;
    this.#maxQueuedBytes = maxQueuedBytes;
    socket.setNoDelay(true);
    this.#secretTimer = setTimeout(() => {
      this.#handlers.silent(this);
      this.close();
    }, SECRET_MS);
    socket.on('data', (chunk: Buffer) => this.#onData(chunk));
    socket.on('error', () => this.close());
    socket.on('close', () => this.#onClose());
  }

  get authenticated(): boolean {
    return this.#authenticated;
  }

  /** The application gave the right secret. */
  authenticate(): void {
    this.#authenticated = true;
    clearTimeout(this.#secretTimer);
  }

  /** Writes one frame. Disconnects an application that does not read once too much is queued for it. */
  send(bytes: Buffer): void {
    if (!this.connected) return;
    if (this.#socket.writableLength > this.#maxQueuedBytes) {
      this.#handlers.backlogged(this);
      this.close();
      return;
    }
    this.#socket.write(bytes);
  }

  /** Closes after everything written has been sent. */
  closeAfterSending(): void {
    this.#socket.destroySoon();
  }

  close(): void {
    this.#socket.destroy();
    this.#onClose();
  }

  #onClose(): void {
    if (!this.connected) return;
    this.connected = false;
    clearTimeout(this.#secretTimer);
    this.#handlers.closed(this);
  }

  #onData(chunk: Buffer): void {
    this.#queue.push(chunk);
    while (this.connected) {
      const { bytes } = this.#queue;
      const hash = bytes.subarray(0, MAX_LENGTH_DIGITS + 1).indexOf(0x23);
      if (hash < 0) {
        if (bytes.length > MAX_LENGTH_DIGITS) this.close();
        return;
      }
      const digits = bytes.toString('latin1', 0, hash);
      const length = /^\d+$/.test(digits) ? Number(digits) : 0;
      if (length === 0 || length > (this.#authenticated ? MAX_FRAME_BYTES : MAX_FRAME_BEFORE_SECRET)) {
        this.close();
        return;
      }
      if (bytes.length < hash + 1 + length) return;
      this.#deliver(this.#queue.take(hash + 1 + length).subarray(hash + 1));
    }
  }

  #deliver(message: Buffer): void {
    const end = message.indexOf('\r\n');
    const line = message.toString('latin1', 0, end < 0 ? message.length : end);
    this.#handlers.message(this, line, end < 0 ? Buffer.alloc(0) : message.subarray(end + 2));
  }
}

/** Which applications asked for which methods and events, served round robin. */
export class Routes {
  readonly #wanting = new Map<string, App[]>();
  readonly #turns = new Map<string, number>();

  /** `verb` is a method, or an event such as `cdr:start`. Case does not matter. */
  add(app: App, verb: string): void {
    const key = verb.toLowerCase();
    const apps = this.#wanting.get(key);
    if (!apps) this.#wanting.set(key, [app]);
    else if (!apps.includes(app)) apps.push(app);
  }

  remove(app: App, verb: string): void {
    const key = verb.toLowerCase();
    const left = this.#wanting.get(key)?.filter((other) => other !== app) ?? [];
    if (left.length > 0) this.#wanting.set(key, left);
    else this.#wanting.delete(key);
  }

  removeApp(app: App): void {
    for (const verb of [...this.#wanting.keys()]) this.remove(app, verb);
  }

  /** Whether any application asked for a verb. */
  wanted(verb: string): boolean {
    return this.#wanting.has(verb.toLowerCase());
  }

  /** The next application for a verb; with a tag, the next one that has this tag. */
  pick(verb: string, tag?: string): App | undefined {
    const key = verb.toLowerCase();
    const apps = (this.#wanting.get(key) ?? []).filter((app) => tag === undefined || app.tags.includes(tag));
    if (apps.length === 0) return undefined;
    const turn = this.#turns.get(key) ?? 0;
    this.#turns.set(key, (turn + 1) % Number.MAX_SAFE_INTEGER);
    return apps[turn % apps.length];
  }

  /** An application for a verb with exactly these tags, to replace one that has gone. */
  pickLike(verb: string, tags: readonly string[]): App | undefined {
    const apps = this.#wanting.get(verb.toLowerCase()) ?? [];
    return apps.find((app) => [...app.tags].sort().join() === [...tags].sort().join());
  }

  /** The methods that applications asked for, in upper case, for the Allow header. */
  get methods(): string[] {
    return [...this.#wanting.keys()].filter((verb) => !verb.includes(':')).map((verb) => verb.toUpperCase());
  }
}

/** Sends a call record (attempt, start or stop) to an application that asked for call records. */
export function reportCdr(
  context: { readonly routes: Routes; readonly mask: (text: string) => string },
  kind: 'cdr:attempt' | 'cdr:start' | 'cdr:stop',
  source: 'network' | 'application',
  message: SipMessage,
  detail?: string,
): void {
  context.routes.pick(kind)?.send(cdrFrame(kind, source, detail, message, context.mask));
}
