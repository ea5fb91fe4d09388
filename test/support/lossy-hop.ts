import { createSocket, type RemoteInfo, type Socket } from 'node:dgram';
import { once } from 'node:events';

const HOP_ADDRESS = '127.0.0.2';
const GATEWAY_ADDRESS = '127.0.0.1';

/** The network of some browsers, as far as the hop. */
export interface HopNetwork {
  /** Share of media packets that is lost in each direction, 0 to 1. Handshakes and ICE checks pass. */
  loss: number;
  /** In place of that: of this many RTP packets one is lost, in each direction, and no RTCP. */
  losesOneOf?: number;
  /** How long each media packet takes, each way; default: no time. */
  delayMs?: number;
  /** Nothing passes, each way. */
  down?: boolean;
  /** So much passes toward the browsers, with a queue before it; default: all. */
  bitsPerSecond?: number;
}

/** RFC 7983: RTP and RTCP start with 128 to 191. */
const isMedia = (packet: Buffer): boolean => packet[0]! >= 128 && packet[0]! <= 191;

/** RFC 5761: RTCP's types are 192 to 223. */
const isRtp = (packet: Buffer): boolean => isMedia(packet) && !(packet[1]! >= 192 && packet[1]! <= 223);

/** What came through in one direction. */
interface Passage {
  rtpPackets: number;
}

interface Back {
  readonly socket: Socket;
  readonly network: HopNetwork;
  readonly up: Passage;
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
  readonly #delayed = new Set<NodeJS.Timeout>();
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
    for (const timer of this.#delayed) clearTimeout(timer);
  }

  #toGateway(packet: Buffer, from: RemoteInfo): void {
    const key = `${from.address}:${String(from.port)}`;
    let back = this.#back.get(key);
    if (!back) {
      const [socket, network] = [createSocket('udp4'), this.network];
      const down: Passage = { rtpPackets: 0 };
      socket.on('message', (reply) => {
        if (this.#loses(network, reply, down)) return;
        this.#later(network, reply, () => this.#toBrowser(network, reply, from));
      });
      back = { socket, network, up: { rtpPackets: 0 } };
      this.#back.set(key, back);
    }
    const { socket, network, up } = back;
    if (this.#loses(network, packet, up)) return;
    this.#later(network, packet, () => socket.send(packet, this.port, GATEWAY_ADDRESS));
  }

  #later({ delayMs = 0 }: HopNetwork, packet: Buffer, pass: () => void): void {
    if (delayMs === 0 || !isMedia(packet)) {
      pass();
      return;
    }
    const timer = setTimeout(() => {
      this.#delayed.delete(timer);
      pass();
    }, delayMs);
    this.#delayed.add(timer);
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

  #loses({ loss, losesOneOf, down }: HopNetwork, packet: Buffer, passage: Passage): boolean {
    if (down === true) return true;
    if (losesOneOf === undefined) return isMedia(packet) && this.#next() < loss;
    if (!isRtp(packet)) return false;
    passage.rtpPackets += 1;
    return passage.rtpPackets % losesOneOf === 0;
  }

  /** The same losses in each run with the same traffic (xorshift). */
  #next(): number {
    this.#random ^= this.#random << 13;
    this.#random ^= this.#random >>> 17;
    this.#random ^= this.#random << 5;
    return (this.#random >>> 0) / 2 ** 32;
  }
}
