import { once } from 'node:events';
import { WebSocket } from 'ws';

type Frame = Readonly<Record<string, unknown>>;

/** Fits the notifications of one method. */
export const method =
  (name: string) =>
  (frame: Frame): boolean =>
    frame['method'] === name;

/** A WebSocket that says just what the test wants, right or wrong. */
export class RawClient {
  readonly socket: WebSocket;
  readonly frames: Frame[] = [];
  readonly closed: Promise<{ code: number; reason: string }>;
  readonly #waiting = new Set<() => void>();
  #nextId = 1;

  constructor(url: string) {
    this.socket = new WebSocket(url);
    this.socket.on('message', (data: Buffer) => {
      this.frames.push(JSON.parse(data.toString('utf8')) as Frame);
      for (const look of [...this.#waiting]) look();
    });
    this.closed = new Promise((resolve) => {
      this.socket.on('close', (code, reason) => resolve({ code, reason: reason.toString() }));
    });
    // A refused upgrade shows as a close too.
    this.socket.on('error', () => undefined);
  }

  static async open(url: string): Promise<RawClient> {
    const client = new RawClient(url);
    await once(client.socket, 'open');
    return client;
  }

  send(frame: unknown): void {
    this.socket.send(typeof frame === 'string' ? frame : JSON.stringify(frame));
  }

  notify(method: string, params: unknown = null): void {
    this.send({ jsonrpc: '2.0', method, params });
  }

  /** @returns the whole response frame */
  call(method: string, params: unknown = {}): Promise<Frame> {
    const id = this.#nextId++;
    this.send({ jsonrpc: '2.0', id, method, params });
    return this.waitFor((frame) => frame['id'] === id);
  }

  /** Waits for a frame that fits, one already received included; test frameworks set the limit. */
  waitFor(fits: (frame: Frame) => boolean): Promise<Frame> {
    return new Promise((resolve) => {
      const look = (): void => {
        const frame = this.frames.find(fits);
        if (!frame) return;
        this.#waiting.delete(look);
        resolve(frame);
      };
      this.#waiting.add(look);
      look();
    });
  }

  close(): void {
    this.socket.terminate();
  }
}
