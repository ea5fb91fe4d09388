import { once } from 'node:events';
import { chmod } from 'node:fs/promises';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { greet, pipeName, welcome } from './handshake.js';
import { Incoming, readInto } from './incoming.js';
import {
  type Pipe,
  type PipeEnd,
  type PipeParts,
  ReceivingEnd,
  SendingEnd,
  type SendingPipe,
} from './pipe.js';

/** Where the listening end of pipes is: a Unix socket, or TCP between machines. */
type PipeAddress = { readonly path: string } | { readonly host: string; readonly port: number };

/** Bytes of a pipe's key. */
const PIPE_KEY_LENGTH = 32;

const FIRST_PAUSE_MS = 50;
const MAX_PAUSE_MS = 2000;
/** Time for the greeting. */
const GREETING_MS = 5000;
/**
 * The same for connecting to another machine, which may be cut off: TCP tries it at once and after a second, and then more and
 * more rarely, while a new attempt begins at once.
 */
const REMOTE_GREETING_MS = 2000;
/** Connections that may be in their greeting at once. */
const MAX_GREETINGS = 64;
const KEEP_ALIVE_MS = 5000;

/** Accepts the pipes by which other hosts get streams of this one. */
export interface PipeListener {
  readonly address: PipeAddress;
  /** Connections that were refused: garbage, unknown names, or too many at once. */
  readonly refused: number;
  /** Makes the sending end of a pipe, to which the other host will connect with the same key. */
  expect(key: Buffer): SendingPipe;
  /** Closes its pipes and listens no more. */
  close(): Promise<void>;
}

/**
 * Listens for the pipes that {@link PipeListener.expect} announces. A Unix socket gets the mode 0600; its path must be
 * free and short enough for the system.
 */
export async function listenForPipes(address: PipeAddress, parts: PipeParts): Promise<PipeListener> {
  const listener = new Listener(parts);
  await listener.listen(address);
  return listener;
}

class Listener implements PipeListener {
  readonly #parts: PipeParts;
  readonly #server: Server;
  /** The expected pipes by name. */
  readonly #pipes = new Map<string, { readonly key: Buffer; readonly end: SendingEnd }>();
  readonly #greeting = new Set<Socket>();
  #address: PipeAddress | undefined;
  refused = 0;

  constructor(parts: PipeParts) {
    this.#parts = parts;
    this.#server = createServer((socket) => void this.#accept(socket));
  }

  get address(): PipeAddress {
    if (!this.#address) throw new Error('It does not listen yet.');
    return this.#address;
  }

  async listen(address: PipeAddress): Promise<void> {
    this.#server.listen(address);
    await once(this.#server, 'listening');
    if ('path' in address) await chmod(address.path, 0o600);
    const bound = this.#server.address();
    this.#address = typeof bound === 'object' && bound ? { host: bound.address, port: bound.port } : address;
    this.#server.on('error', (error) => this.#parts.log.error({ err: error }, 'cannot accept a pipe'));
  }

  expect(key: Buffer): SendingPipe {
    const name = pipeName(requireKey(key));
    if (this.#pipes.has(name)) throw new Error('A pipe with this key is expected already.');
    const end = new SendingEnd(this.#parts, () => this.#pipes.delete(name));
    this.#pipes.set(name, { key, end });
    return end;
  }

  async close(): Promise<void> {
    const closed = once(this.#server, 'close');
    this.#server.close();
    for (const socket of this.#greeting) socket.destroy();
    for (const { end } of this.#pipes.values()) end.close();
    await closed;
  }

  async #accept(socket: Socket): Promise<void> {
    prepare(socket);
    this.#greeting.add(socket);
    if (this.#greeting.size > MAX_GREETINGS) this.#giveUpOldest();
    const incoming = new Incoming();
    socket.on('data', incoming.onBytes);
    try {
      const { name, keys } = await inTime(
        socket,
        welcome(socket, incoming, (wanted) => this.#pipes.get(wanted)?.key),
      );
      const pipe = this.#pipes.get(name);
      if (pipe) void pipe.end.use(socket, incoming, keys);
      else socket.destroy();
    } catch (error) {
      this.refused += 1;
      this.#parts.log.debug({ err: error }, 'refused a connection for a pipe');
      socket.destroy();
    } finally {
      this.#greeting.delete(socket);
    }
  }

  /** A host greets at once, but strangers may take all places and say nothing. */
  #giveUpOldest(): void {
    for (const socket of this.#greeting) {
      socket.destroy();
      return;
    }
  }
}

/**
 * Makes the receiving end of a pipe, and connects it to the end that another host expects with the same key: again, with
 * growing pauses, whenever the connection cannot be made or is lost, until it is closed. The receiving end connects, since
 * only sockets that connect can read cheaply ({@link readInto}), and it is the one that reads much.
 */
export function connectPipe(address: PipeAddress, key: Buffer, parts: PipeParts): Pipe {
  requireKey(key);
  const stopped = new AbortController();
  const end = new ReceivingEnd(parts, () => stopped.abort());
  void keepConnected(end, address, key, stopped.signal);
  return end;
}

async function keepConnected(
  end: PipeEnd,
  address: PipeAddress,
  key: Buffer,
  stopped: AbortSignal,
): Promise<void> {
  let pause = FIRST_PAUSE_MS;
  while (!end.isClosed) {
    const startedAt = performance.now();
    await connectOnce(end, address, key, stopped);
    // One that is always lost at once is not tried more often than one that cannot be made.
    const hasLasted = performance.now() - startedAt > MAX_PAUSE_MS;
    pause = hasLasted ? FIRST_PAUSE_MS : Math.min(MAX_PAUSE_MS, 2 * pause);
    await pauseFor(pause, stopped);
  }
}

/** Resolves when the connection is lost or could not be made. */
async function connectOnce(
  end: PipeEnd,
  address: PipeAddress,
  key: Buffer,
  stopped: AbortSignal,
): Promise<void> {
  const incoming = new Incoming();
  const socket = prepare(connect({ ...address, onread: readInto(incoming) }));
  const stop = (): void => void socket.destroy();
  stopped.addEventListener('abort', stop);
  try {
    const limitMs = 'path' in address ? GREETING_MS : REMOTE_GREETING_MS;
    await end.use(socket, incoming, await inTime(socket, greet(socket, incoming, key), limitMs));
  } catch (error) {
    socket.destroy();
    if (!end.isClosed) end.failed(error);
  } finally {
    stopped.removeEventListener('abort', stop);
  }
}

/**
 * An error is followed by `close`, whose listeners look at it; TCP connections notice that the other machine is gone also
 * before they are up.
 */
function prepare(socket: Socket): Socket {
  socket.on('error', () => undefined);
  socket.setNoDelay(true);
  socket.setKeepAlive(true, KEEP_ALIVE_MS);
  return socket;
}

/** Ends the connection when the greeting takes too long. */
async function inTime<T>(socket: Socket, greeting: Promise<T>, limitMs = GREETING_MS): Promise<T> {
  const timer = setTimeout(() => socket.destroy(), limitMs).unref();
  try {
    return await greeting;
  } finally {
    clearTimeout(timer);
  }
}

function pauseFor(ms: number, stopped: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(done, ms).unref();
    function done(): void {
      clearTimeout(timer);
      stopped.removeEventListener('abort', done);
      resolve();
    }
    stopped.addEventListener('abort', done);
    if (stopped.aborted) done();
  });
}

function requireKey(key: Buffer): Buffer {
  if (key.length !== PIPE_KEY_LENGTH) throw new RangeError(`A pipe’s key has ${PIPE_KEY_LENGTH} bytes.`);
  return key;
}
