import { createSocket, type RemoteInfo, type Socket } from 'node:dgram';
import { once } from 'node:events';

const HOP_ADDRESS = '127.0.0.2';
const GATEWAY_ADDRESS = '127.0.0.1';

/** A hop of the network between browsers and a gateway's media port that loses media packets, both ways. */
export class LossyHop {
  /** Where browsers are to send: `PATCHBAY_PUBLIC_IP` of the gateway. */
  readonly address = HOP_ADDRESS;
  /** The media port, here and at the gateway. */
  readonly port: number;
  /** The part of the media packets that gets lost, 0 to 1. Handshakes and ICE checks pass. */
  loss = 0;
  dropped = 0;
  readonly #front: Socket;
  /** The hop's own socket toward the gateway for each browser's socket. */
  readonly #back = new Map<string, Socket>();
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
    for (const back of this.#back.values()) back.close();
  }

  #toGateway(packet: Buffer, from: RemoteInfo): void {
    const key = `${from.address}:${String(from.port)}`;
    let back = this.#back.get(key);
    if (!back) {
      back = createSocket('udp4');
      back.on('message', (reply) => {
        if (!this.#loses(reply)) this.#front.send(reply, from.port, from.address);
      });
      this.#back.set(key, back);
    }
    if (!this.#loses(packet)) back.send(packet, this.port, GATEWAY_ADDRESS);
  }

  #loses(packet: Buffer): boolean {
    // RFC 7983: RTP and RTCP start with 128 to 191.
    const isMedia = packet[0]! >= 128 && packet[0]! <= 191;
    if (!isMedia || this.#next() >= this.loss) return false;
    this.dropped += 1;
    return true;
  }

  /** The same losses in each run, as far as the traffic is the same (xorshift). */
  #next(): number {
    this.#random ^= this.#random << 13;
    this.#random ^= this.#random >>> 17;
    this.#random ^= this.#random << 5;
    return (this.#random >>> 0) / 2 ** 32;
  }
}
