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
  /** So much passes toward the browsers, with a queue before it; default: all. */
  bitsPerSecond?: number;
}

interface Back {
  readonly socket: Socket;
  readonly network: HopNetwork;
}

/** What does not get through a slow network within this time is dropped, as routers do. */
const QUEUE_MS = 300;
/** Of IP and UDP. */
const HEADER_BYTES = 28;

/** The packets that wait for a slow network. */
class SlowLine {
  readonly #waiting: { readonly at: number; readonly pass: () => void }[] = [];
  #freeAt = 0;
  #timer: NodeJS.Timeout | undefined;

  add(bytes: number, bitsPerSecond: number, pass: () => void): void {
    const now = performance.now();
    const at = Math.max(now, this.#freeAt) + ((bytes + HEADER_BYTES) * 8 * 1000) / bitsPerSecond;
    if (at - now > QUEUE_MS) return;
    this.#freeAt = at;
    this.#waiting.push({ at, pass });
    this.#wait();
  }

  stop(): void {
    clearTimeout(this.#timer);
  }

  #wait(): void {
    const next = this.#waiting[0];
    if (this.#timer || !next) return;
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      const now = performance.now();
      while (this.#waiting.length > 0 && this.#waiting[0]!.at <= now) this.#waiting.shift()!.pass();
      this.#wait();
    }, next.at - performance.now());
  }
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
  /** One for each network, whatever the sockets in it. */
  readonly #lines = new Map<HopNetwork, SlowLine>();
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
    for (const line of this.#lines.values()) line.stop();
  }

  #toGateway(packet: Buffer, from: RemoteInfo): void {
    const key = `${from.address}:${String(from.port)}`;
    let back = this.#back.get(key);
    if (!back) {
      const [socket, network] = [createSocket('udp4'), this.network];
      socket.on('message', (reply) => {
        if (!this.#loses(network, reply)) this.#toBrowser(network, reply, from);
      });
      back = { socket, network };
      this.#back.set(key, back);
    }
    if (!this.#loses(back.network, packet)) back.socket.send(packet, this.port, GATEWAY_ADDRESS);
  }

  #toBrowser(network: HopNetwork, packet: Buffer, { port, address }: RemoteInfo): void {
    const pass = (): void => this.#front.send(packet, port, address);
    if (network.bitsPerSecond === undefined) {
      pass();
      return;
    }
    let line = this.#lines.get(network);
    if (!line) this.#lines.set(network, (line = new SlowLine()));
    line.add(packet.length, network.bitsPerSecond, pass);
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
