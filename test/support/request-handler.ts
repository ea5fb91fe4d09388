import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';

/** What a request handler answers: JSON with status 200, a text as it is, or nothing at all. */
export type Verdict = object | string | undefined;

/** An operator's HTTP server that decides on SIP requests, on a free port of 127.0.0.1. */
export class RequestHandler {
  /** The questions that came, as the parameters of their query. */
  readonly asked: Record<string, string>[] = [];
  readonly #server: Server;

  private constructor(decide: (question: Record<string, string>) => Verdict) {
    this.#server = createServer((request, response) => {
      const question = Object.fromEntries(new URL(request.url ?? '', 'http://handler').searchParams);
      this.asked.push(question);
      const verdict = decide(question);
      if (verdict === undefined) return;
      response.end(typeof verdict === 'string' ? verdict : JSON.stringify(verdict));
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

  close(): void {
    this.#server.close();
    this.#server.closeAllConnections();
  }
}
