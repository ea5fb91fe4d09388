import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { type RawData, WebSocket, WebSocketServer } from 'ws';

/** A relayed message, parsed. */
interface RelayedFrame {
  readonly from: 'client' | 'gateway';
  readonly message: Readonly<Record<string, unknown>>;
}

/** A WebSocket relay between clients and a gateway that cuts connections as networks and servers do. */
export class SocketProxy {
  readonly frames: RelayedFrame[] = [];
  readonly #server: WebSocketServer;
  readonly #pairs = new Set<{ client: WebSocket; gateway: WebSocket }>();
  #target: string;
  #refusing = false;
  #cutAt: string | undefined;
  #connections = 0;

  private constructor(server: WebSocketServer, target: string) {
    this.#server = server;
    this.#target = target;
    server.on('connection', (client, request) => this.#relay(client, request.url ?? '/'));
  }

  /** @param target `ws://host:port` of the gateway */
  static async start(target: string): Promise<SocketProxy> {
    const server = new WebSocketServer({ host: '127.0.0.1', port: 0, perMessageDeflate: false });
    await once(server, 'listening');
    return new SocketProxy(server, target);
  }

  /** The clients' `websocketUrl`. */
  get url(): string {
    const { port } = this.#server.address() as AddressInfo;
    return `ws://127.0.0.1:${String(port)}`;
  }

  /** How many sockets clients have opened so far. */
  get connections(): number {
    return this.#connections;
  }

  /** Sets the gateway for new sockets. */
  retarget(target: string): void {
    this.#target = target;
  }

  /** Cuts all sockets without a close frame: 1006 on both sides. */
  cut(): void {
    for (const { client, gateway } of this.#pairs) {
      client.terminate();
      gateway.terminate();
    }
  }

  /** Closes the clients' sockets with a code, and cuts the gateway's. */
  closeClients(code: number): void {
    for (const { client, gateway } of this.#pairs) {
      client.close(code);
      gateway.terminate();
    }
  }

  /** Cuts everything, once, when a client calls this method; the call is lost with its socket. */
  cutAtCall(method: string): void {
    this.#cutAt = method;
  }

  /** Clients whose sockets are open now. */
  get sockets(): number {
    return this.#pairs.size;
  }

  /** While true, new sockets are cut at once, as if the gateway could not be reached. */
  refuse(refusing: boolean): void {
    this.#refusing = refusing;
  }

  async stop(): Promise<void> {
    this.cut();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #relay(client: WebSocket, url: string): void {
    this.#connections += 1;
    client.on('error', () => undefined);
    if (this.#refusing) {
      client.terminate();
      return;
    }
    const gateway = new WebSocket(`${this.#target}${url}`, { perMessageDeflate: false });
    const pair = { client, gateway };
    this.#pairs.add(pair);
    const waiting: RawData[] = [];
    client.on('message', (data) => {
      const { message } = this.#note('client', data);
      if (message['method'] === this.#cutAt) {
        this.#cutAt = undefined;
        this.cut();
        return;
      }
      if (gateway.readyState === WebSocket.OPEN) gateway.send(data, { binary: false });
      else waiting.push(data);
    });
    gateway.on('open', () => {
      for (const data of waiting) gateway.send(data, { binary: false });
    });
    gateway.on('message', (data) => {
      this.#note('gateway', data);
      client.send(data, { binary: false });
    });
    gateway.on('error', () => client.terminate());
    client.on('close', (code) => this.#closed(pair, gateway, code));
    gateway.on('close', (code) => this.#closed(pair, client, code));
  }

  #closed(pair: { client: WebSocket; gateway: WebSocket }, other: WebSocket, code: number): void {
    this.#pairs.delete(pair);
    // 1005 and 1006 are never sent (RFC 6455 section 7.4.1).
    if (code === 1005) other.close();
    else if (code === 1006) other.terminate();
    else other.close(code);
  }

  #note(from: RelayedFrame['from'], data: RawData): RelayedFrame {
    const message = JSON.parse((data as Buffer).toString('utf8')) as RelayedFrame['message'];
    const frame = { from, message };
    this.frames.push(frame);
    return frame;
  }
}
