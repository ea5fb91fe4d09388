import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';

/** The header in which a proxy names its client. */
type Forwarding = 'X-Forwarded-For' | 'Forwarded';

/**
 * A small reverse proxy: writes its client's address into the first request of each connection, in place of what the
 * client wrote there, and passes on the rest unchanged.
 */
export class ForwardingProxy {
  readonly #server: Server;

  private constructor(server: Server) {
    this.#server = server;
  }

  /** @param from the address from which it connects to the gateway's port */
  static async start(gatewayPort: number, from: string, way: Forwarding): Promise<ForwardingProxy> {
    const server = createServer((client) => {
      const gateway = connect({ port: gatewayPort, host: '127.0.0.1', localAddress: from });
      for (const [one, other] of [
        [client, gateway],
        [gateway, client],
      ] as const) {
        one.on('error', () => other.destroy());
        one.on('close', () => other.destroy());
      }
      void forwardHead(client, gateway, way);
      gateway.pipe(client);
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return new ForwardingProxy(server);
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  stop(): void {
    this.#server.close();
  }
}

async function forwardHead(client: Socket, gateway: Socket, way: Forwarding): Promise<void> {
  let head = '';
  while (!head.includes('\r\n\r\n')) {
    const chunk = client.read() as Buffer | null;
    if (chunk) head += chunk.toString('latin1');
    else await once(client, 'readable');
  }
  const [requestLine, ...lines] = head.split('\r\n');
  const kept = lines.filter((line) => !/^(?:x-forwarded-for|forwarded):/i.test(line));
  const { remoteAddress = '' } = client;
  const said =
    way === 'Forwarded' ? `Forwarded: for=${remoteAddress};proto=http` : `${way}: ${remoteAddress}`;
  gateway.write([requestLine, said, ...kept].join('\r\n'), 'latin1');
  client.pipe(gateway);
}
