import { createSocket, type Socket as UdpSocket } from 'node:dgram';
import { once } from 'node:events';
import { connect as connectTcp, isIPv6, type Socket as TcpSocket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import {
  encodeMessage,
  type Endpoint,
  parseMessage,
  type SipMessage,
  StreamFramer,
  type TransportName,
} from '../../sip-server/index.js';

/** Where the gateway's SIP server receives calls. */
export interface SipTarget extends Endpoint {
  readonly transport: TransportName;
}

/** How long a connection may take to be made. */
const CONNECT_MS = 5_000;

/** A socket of one test call to the gateway's SIP server, with that server as its only peer. */
export class SipSocket {
  readonly target: SipTarget;
  /** Our address, for Via and Contact. */
  readonly local: Endpoint;
  readonly #write: (bytes: Buffer) => void;
  readonly #end: () => void;
  #isClosed = false;
  /** Called with each message that can be read. */
  onMessage: (message: SipMessage) => void = () => undefined;
  /** The connection was lost, or what is sent does not arrive. */
  onLost: (error: Error) => void = () => undefined;

  private constructor(target: SipTarget, local: Endpoint, write: (bytes: Buffer) => void, end: () => void) {
    this.target = target;
    this.local = local;
    this.#write = write;
    this.#end = end;
  }

  /** @throws Error of the socket when the server cannot be reached */
  static open(target: SipTarget): Promise<SipSocket> {
    return target.transport === 'udp' ? SipSocket.#openUdp(target) : SipSocket.#openStream(target);
  }

  get isReliable(): boolean {
    return this.target.transport !== 'udp';
  }

  send(message: SipMessage): void {
    if (!this.#isClosed) this.#write(encodeMessage(message));
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#end();
  }

  static async #openUdp(target: SipTarget): Promise<SipSocket> {
    const socket = await connectedUdp(target);
    const { address: host, port } = socket.address();
    const own = new SipSocket(
      target,
      { host, port },
      (bytes) => socket.send(bytes),
      () => socket.close(),
    );
    socket.on('message', (bytes) => own.#take(bytes));
    socket.on('error', (error) => own.onLost(error));
    return own;
  }

  static async #openStream(target: SipTarget): Promise<SipSocket> {
    const { host, port } = target;
    // The operator has named this server, and its certificate is for a name that we do not know.
    const socket: TcpSocket =
      target.transport === 'tls'
        ? connectTls({ host, port, rejectUnauthorized: false })
        : connectTcp({ host, port });
    await once(socket, target.transport === 'tls' ? 'secureConnect' : 'connect', {
      signal: AbortSignal.timeout(CONNECT_MS),
    }).catch((error: unknown) => {
      socket.destroy();
      throw error;
    });
    const own = new SipSocket(
      target,
      { host: socket.localAddress!, port: socket.localPort! },
      (bytes) => void socket.write(bytes),
      () => {
        socket.destroySoon();
      },
    );
    const framer = new StreamFramer();
    socket.on('data', (chunk: Buffer) => {
      for (const piece of framer.push(chunk)) {
        if (piece.kind === 'message') own.#take(piece.bytes);
        else if (piece.kind === 'broken')
          own.onLost(new Error(`The SIP server sent what is no SIP: ${piece.why}.`));
      }
    });
    socket.on('error', (error) => own.onLost(error));
    socket.on('close', () => {
      if (!own.#isClosed) own.onLost(new Error('The SIP server closed the connection.'));
    });
    return own;
  }

  #take(bytes: Buffer): void {
    if (this.#isClosed) return;
    const message = parseMessage(bytes);
    if (message.kind !== 'unreadable') this.onMessage(message);
  }
}

/** A UDP socket that exchanges datagrams with this peer only. The system chooses the address that leads there. */
async function connectedUdp({ host, port }: Endpoint): Promise<UdpSocket> {
  const socket = createSocket(isIPv6(host) ? 'udp6' : 'udp4');
  socket.connect(port, host);
  try {
    await once(socket, 'connect');
    return socket;
  } catch (error) {
    socket.close();
    throw error;
  }
}

/** The address of this machine from which packets to another address leave. */
export async function addressToward(host: string): Promise<string> {
  // Any port does: nothing is sent.
  const socket = await connectedUdp({ host, port: 9 });
  const { address } = socket.address();
  socket.close();
  return address;
}
