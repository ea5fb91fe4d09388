import type { IncomingMessage, Server } from 'node:http';
import type { Duplex } from 'node:stream';
import { hangUp } from '../shared/index.js';

/** An HTTP request for an upgrade of its connection (RFC 9110 section 7.8). */
export interface UpgradeRequest {
  readonly request: IncomingMessage;
  readonly stream: Duplex;
  /** What came behind the request already. */
  readonly head: Buffer;
}

/** Takes an upgrade request, unless its path is somebody else's. @returns whether it was taken */
type TakeUpgrade = (upgrade: UpgradeRequest) => boolean;

/** Gives each upgrade request of an HTTP server to whoever serves its path; all others get 404. */
export class Upgrades {
  readonly #takers = new Set<TakeUpgrade>();

  constructor(server: Server) {
    server.on('upgrade', (request: IncomingMessage, stream: Duplex, head: Buffer) => {
      // The client may go away while the request is decided about. Nobody else listens yet.
      stream.on('error', () => stream.destroy());
      for (const take of this.#takers) if (take({ request, stream, head })) return;
      refuseUpgrade(stream, '404 Not Found');
    });
  }

  /** @returns a function that ends it */
  serve(take: TakeUpgrade): () => void {
    this.#takers.add(take);
    return () => void this.#takers.delete(take);
  }
}

interface Refusal {
  /** Header lines, each with its line end. */
  readonly headers?: string;
  /** For people. */
  readonly message?: string;
}

/** Answers an upgrade request with a status, and closes its connection. */
export function refuseUpgrade(
  stream: Duplex,
  status: string,
  { headers = '', message = '' }: Refusal = {},
): void {
  const type = message === '' ? '' : 'Content-Type: text/plain; charset=utf-8\r\n';
  const length = `Content-Length: ${Buffer.byteLength(message)}\r\n`;
  hangUp(stream, `HTTP/1.1 ${status}\r\nConnection: close\r\n${headers}${type}${length}\r\n${message}`);
}
