import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { isIPv6 } from 'node:net';

const TYPE_A = 1;
const TYPE_AAAA = 28;
const NAME_ERROR = 3;
const HEADER_BYTES = 12;

/** A name server over UDP (RFC 1035 section 4). It does not answer for names below `hanging.example`. */
export class NameServer {
  /** The names of all queries, in order. */
  readonly asked: string[] = [];
  readonly #socket: Socket;
  readonly #known = new Map<string, readonly string[]>();

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.on('message', (query, { address, port }) => {
      const answer = this.#answer(query);
      if (answer) socket.send(answer, port, address);
    });
  }

  static async start(host = '127.0.0.1', port = 0): Promise<NameServer> {
    const socket = createSocket('udp4');
    socket.bind(port, host);
    await once(socket, 'listening');
    return new NameServer(socket);
  }

  get address(): string {
    const { address, port } = this.#socket.address();
    return `${address}:${port}`;
  }

  knows(name: string, addresses: readonly string[]): void {
    this.#known.set(name, addresses);
  }

  stop(): void {
    this.#socket.close();
  }

  #answer(query: Buffer): Buffer | undefined {
    const labels: string[] = [];
    let at = HEADER_BYTES;
    for (let length = query[at]!; length > 0; length = query[at]!) {
      labels.push(query.toString('latin1', at + 1, at + 1 + length));
      at += 1 + length;
    }
    const type = query.readUInt16BE(at + 1);
    const question = query.subarray(HEADER_BYTES, at + 5);
    const name = labels.join('.').toLowerCase();
    this.asked.push(name);
    if (name.endsWith('hanging.example')) return undefined;
    const known = this.#known.get(name);
    const wanted = (known ?? []).filter((address) => type === (isIPv6(address) ? TYPE_AAAA : TYPE_A));
    const head = Buffer.alloc(HEADER_BYTES);
    query.copy(head, 0, 0, 2);
    // Flags: response, recursion desired, recursion available.
    head.writeUInt16BE(0x8180 | (known ? 0 : NAME_ERROR), 2);
    head.writeUInt16BE(1, 4);
    head.writeUInt16BE(wanted.length, 6);
    return Buffer.concat([head, question, ...wanted.map((address) => record(type, address))]);
  }
}

/** An answer to the question's name, with a TTL of 0. */
function record(type: number, address: string): Buffer {
  const data = isIPv6(address) ? bytesOfIpv6(address) : Buffer.from(address.split('.').map(Number));
  const head = Buffer.alloc(HEADER_BYTES);
  head.writeUInt16BE(0xc000 | HEADER_BYTES, 0);
  head.writeUInt16BE(type, 2);
  head.writeUInt16BE(1, 4);
  head.writeUInt16BE(data.length, 10);
  return Buffer.concat([head, data]);
}

function bytesOfIpv6(address: string): Buffer {
  const [left = '', right = ''] = address.split('::');
  const groups = (text: string): string[] => (text === '' ? [] : text.split(':'));
  const [first, last] = [groups(left), groups(right)];
  const zeros = Array.from({ length: 8 - first.length - last.length }, () => '0');
  return Buffer.from([...first, ...zeros, ...last].map((group) => group.padStart(4, '0')).join(''), 'hex');
}
