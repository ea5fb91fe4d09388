import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import { hangUp } from '../shared/index.js';
import { answerNoLeader, isPassedOn } from './passing.js';
import { explainListenError } from './start-error.js';

interface ClusterServerOptions {
  /** Where the other gateways of the database reach this one. */
  readonly host: string;
  /** 0: the system chooses. */
  readonly port: number;
  /** What they have to know. */
  readonly secret: string;
  /** Takes the connections of edges. */
  readonly onEdge: (request: IncomingMessage, socket: Duplex, head: Buffer) => void;
  /** Answers REST; undefined while this gateway is not the leader. */
  readonly rest: () => ((request: IncomingMessage, response: ServerResponse) => void) | undefined;
}

/** The private HTTP server of a gateway that shares its database with others: they come here when it is the leader. */
interface ClusterServer {
  /** `host:port` */
  readonly address: string;
  readonly listensAt: { readonly host: string; readonly port: number };
  stop(): Promise<void>;
}

/** @throws StartError when the address cannot be listened on */
export async function startClusterServer(options: ClusterServerOptions): Promise<ClusterServer> {
  const { host, port, secret, onEdge, rest } = options;
  const server = createServer((request, response) => {
    if (!isPassedOn(request, secret)) {
      response.writeHead(401, { connection: 'close' }).end();
      return;
    }
    const answer = rest();
    if (answer) answer(request, response);
    else answerNoLeader(response, 'This gateway is not the leader: try again in a moment.');
  });
  server.on('upgrade', (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    socket.on('error', () => socket.destroy());
    if (request.url?.startsWith('/cluster/')) onEdge(request, socket, head);
    else hangUp(socket, 'HTTP/1.1 404 Not Found\r\nConnection: close\r\nContent-Length: 0\r\n\r\n');
  });
  try {
    server.listen(port, host);
    await once(server, 'listening');
  } catch (error) {
    throw explainListenError(error, { host: 'PATCHBAY_CLUSTER_HOST', port: 'PATCHBAY_CLUSTER_PORT' });
  }
  const bound = server.address() as AddressInfo;
  return {
    listensAt: { host: bound.address, port: bound.port },
    address: `${bound.family === 'IPv6' ? `[${bound.address}]` : bound.address}:${String(bound.port)}`,
    async stop() {
      const closed = once(server, 'close');
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
}
