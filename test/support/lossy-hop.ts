import { createSocket, type RemoteInfo, type Socket } from 'node:dgram';
import { once } from 'node:events';

const HOP_ADDRESS = '127.0.0.2';
const GATEWAY_ADDRESS = '127.0.0.1';

/** The network of some browsers, as far as the hop. */
export interface HopNetwork {
  /** Share of media packets that is lost in each direction, 0 to 1. Handshakes and ICE checks pass. */
  loss: number;
  /** Nothing passes, each way. */
  down?: boolean;
}

interface Back {
  readonly socket: Socket;
  readonly network: HopNetwork;
}

/** A hop of the network between browsers and a gateway's media port that loses media packets, both ways. */
export class LossyHop {
  /** Where browsers are to send: `PATCHBAY_PUBLIC_IP` of the gateway. */
  readonly address = HOP_ADDRESS;
  /** The media port, here and at the gateway. */
  readonly port: number;
  /** The network of browsers' sockets that are seen for the first time from now on. */
  network: HopNetwork = { loss: 0 };
  readonly #front: Socket;
  /** The hop's own socket toward the gateway for each browser's socket. */
  readonly #back = new Map<string, Back>();
  #random = 0x2545f491;

  private constructor(front: Socket, port: number) {
    this.#front = front;
    this.port = port;
    front.on('message', (packet, from) => this.#toGateway(packet, from));
  }

  /** @param port free on both addresses */
  static async start(port: number): Promise<LossyHop> {
    const front = createSocket('udp4');
    front.bind(port, HOP_ADDRESS);
    await once(front, 'listening');
    return new LossyHop(front, port);
  }

  stop(): void {
    this.#front.close();
    for (const { socket } of this.#back.values()) socket.close();
  }

  #toGateway(packet: Buffer, from: RemoteInfo): void {
    const key = `${from.address}:${String(from.port)}`;
    let back = this.#back.get(key);
    if (!back) {
      const [socket, network] = [createSocket('udp4'), this.network];
      socket.on('message', (reply) => {
        if (!this.#loses(network, reply)) this.#front.send(reply, from.port, from.address);
      });
      back = { socket, network };
      this.#back.set(key, back);
    }
    if (!this.#loses(back.network, packet)) back.socket.send(packet, this.port, GATEWAY_ADDRESS);
  }

  #loses({ loss, down }: HopNetwork, packet: Buffer): boolean {
    if (down === true) return true;
    // RFC 7983: RTP and RTCP start with 128 to 191.
    const isMedia = packet[0]! >= 128 && packet[0]! <= 191;
    return isMedia && this.#next() < loss;
  }

  /** The same losses in each run with the same traffic (xorshift). */
  #next(): number {
    this.#random ^= this.#random << 13;
    this.#random ^= this.#random >>> 17;
    this.#random ^= this.#random << 5;
    return (this.#random >>> 0) / 2 ** 32;
  }
}
