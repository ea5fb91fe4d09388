import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';

/** The answer of a request handler: JSON with status 200, a text as it is, or no answer. */
export type Verdict = object | string | undefined;

/** An operator's HTTP server that decides on SIP requests, on a free port of 127.0.0.1. */
export class RequestHandler {
  /** The parameters of all queries so far. */
  readonly asked: Record<string, string>[] = [];
  readonly #server: Server;
  readonly #connections = new Set<Socket>();

  private constructor(decide: (question: Record<string, string>) => Verdict) {
    this.#server = createServer((request, response) => {
      const question = Object.fromEntries(new URL(request.url ?? '', 'http://handler').searchParams);
      this.asked.push(question);
      const verdict = decide(question);
      if (verdict === undefined) return;
      response.end(typeof verdict === 'string' ? verdict : JSON.stringify(verdict));
    });
    // Clients may keep their connections much longer than a test lasts.
    this.#server.keepAliveTimeout = 60_000;
    this.#server.on('connection', (socket) => {
      this.#connections.add(socket);
      socket.once('close', () => this.#connections.delete(socket));
    });
  }

  static async start(decide: (question: Record<string, string>) => Verdict): Promise<RequestHandler> {
    const handler = new RequestHandler(decide);
    handler.#server.listen(0, '127.0.0.1');
    await once(handler.#server, 'listening');
    return handler;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}/route`;
  }

  /** Resolves when all connections that are open now have ended. */
  async left(): Promise<void> {
    await Promise.all(Array.from(this.#connections, (socket) => once(socket, 'close')));
  }

  close(): void {
    this.#server.close();
    this.#server.closeAllConnections();
  }
}
