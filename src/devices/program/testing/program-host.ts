import { once } from 'node:events';
import { createServer, type IncomingHttpHeaders } from 'node:http';
import type { AddressInfo } from 'node:net';
import { WebSocketServer } from 'ws';
import { TestProgram } from './test-program.js';

/** A server that gateways connect to: each connection is a program. */
export class ProgramHost {
  readonly programs: TestProgram[] = [];
  /** Of the requests that came, also of refused ones. */
  readonly requests: { readonly url: string; readonly headers: IncomingHttpHeaders }[] = [];
  /** Set: requests are refused with this status. */
  refuseWith: number | undefined;
  readonly #server = createServer();
  readonly #waiting = new Set<() => void>();

  private constructor(subprotocol: string | undefined) {
    const sockets = new WebSocketServer({
      noServer: true,
      ...(subprotocol !== undefined && {
        handleProtocols: (offered: Set<string>) => offered.has(subprotocol) && subprotocol,
      }),
    });
    this.#server.on('upgrade', (request, stream, head: Buffer) => {
      this.requests.push({ url: request.url ?? '', headers: request.headers });
      if (this.refuseWith === undefined) {
        sockets.handleUpgrade(request, stream, head, (socket) => {
          this.programs.push(new TestProgram(socket));
          this.#changed();
        });
        return;
      }
      stream.on('error', () => undefined);
      stream.end(`HTTP/1.1 ${this.refuseWith} No\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`);
      this.#changed();
    });
  }

  static async start(subprotocol?: string): Promise<ProgramHost> {
    const host = new ProgramHost(subprotocol);
    await once(host.#server.listen(0, '127.0.0.1'), 'listening');
    return host;
  }

  get address(): string {
    return `127.0.0.1:${String((this.#server.address() as AddressInfo).port)}`;
  }

  get url(): string {
    return `ws://${this.address}/agent?key=s3cret`;
  }

  /** The connection of this number, from 1. */
  async program(number = 1): Promise<TestProgram> {
    await this.#until(() => this.programs.length >= number);
    return this.programs[number - 1]!;
  }

  /** Waits until so many requests have come, refused ones too. */
  async requested(count: number): Promise<void> {
    await this.#until(() => this.requests.length >= count);
  }

  async stop(): Promise<void> {
    for (const program of this.programs) program.cut();
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #changed(): void {
    for (const look of [...this.#waiting]) look();
  }

  #until(holds: () => boolean): Promise<void> {
    return new Promise((resolve) => {
      const look = (): void => {
        if (!holds()) return;
        this.#waiting.delete(look);
        resolve();
      };
      this.#waiting.add(look);
      look();
    });
  }
}
