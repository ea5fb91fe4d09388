import { isIPv6 } from 'node:net';

/** One captured packet. */
interface CapturedPacket {
  readonly protocol: 'udp' | 'tcp';
  readonly source: { readonly host: string; readonly port: number };
  readonly destination: { readonly host: string; readonly port: number };
  /** Milliseconds since 1970. */
  readonly time: number;
  readonly payload: Buffer;
}

/** The capturing node, as Homer shows it. */
interface CaptureAgent {
  readonly id: number;
  readonly password?: string | undefined;
}

/** Chunk types of HEP version 3 under the generic vendor. */
const CHUNK = {
  family: 1,
  protocol: 2,
  source4: 3,
  destination4: 4,
  source6: 5,
  destination6: 6,
  sourcePort: 7,
  destinationPort: 8,
  seconds: 9,
  microseconds: 10,
  type: 11,
  agent: 12,
  password: 14,
  payload: 15,
} as const;

const AF_INET = 2;
const AF_INET6 = 10;
const TYPE_SIP = 1;

/** Encodes a packet in HEP version 3 (EEP), the format that Homer receives. */
export function encodeHep(packet: CapturedPacket, agent: CaptureAgent): Buffer {
  const six = isIPv6(packet.source.host);
  const chunks = [
    byte(CHUNK.family, six ? AF_INET6 : AF_INET),
    byte(CHUNK.protocol, packet.protocol === 'udp' ? 17 : 6),
    chunk(six ? CHUNK.source6 : CHUNK.source4, addressBytes(packet.source.host)),
    chunk(six ? CHUNK.destination6 : CHUNK.destination4, addressBytes(packet.destination.host)),
    short(CHUNK.sourcePort, packet.source.port),
    short(CHUNK.destinationPort, packet.destination.port),
    long(CHUNK.seconds, Math.floor(packet.time / 1000)),
    long(CHUNK.microseconds, (packet.time % 1000) * 1000),
    byte(CHUNK.type, TYPE_SIP),
    long(CHUNK.agent, agent.id),
  ];
  if (agent.password !== undefined) chunks.push(chunk(CHUNK.password, Buffer.from(agent.password)));
  chunks.push(chunk(CHUNK.payload, packet.payload));
  const body = Buffer.concat(chunks);
  const head = Buffer.alloc(6);
  head.write('HEP3', 'latin1');
  head.writeUInt16BE(body.length + 6, 4);
  return Buffer.concat([head, body]);
}

function chunk(type: number, value: Buffer): Buffer {
  const head = Buffer.alloc(6);
  head.writeUInt16BE(type, 2);
  head.writeUInt16BE(value.length + 6, 4);
  return Buffer.concat([head, value]);
}

function byte(type: number, value: number): Buffer {
  return chunk(type, Buffer.from([value]));
}

function short(type: number, value: number): Buffer {
  const bytes = Buffer.alloc(2);
  bytes.writeUInt16BE(value);
  return chunk(type, bytes);
}

function long(type: number, value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return chunk(type, bytes);
}

function addressBytes(host: string): Buffer {
  if (!isIPv6(host)) return Buffer.from(host.split('.').map(Number));
  const mapped = /^(.*:)(\d+)\.(\d+)\.(\d+)\.(\d+)$/.exec(host);
  const text = mapped
    ? `${mapped[1]!}${hex(mapped[2]!, mapped[3]!)}:${hex(mapped[4]!, mapped[5]!)}`
    : host.split('%', 1)[0]!;
  const [left = '', right] = text.split('::');
  const before = left === '' ? [] : left.split(':');
  const after = right === undefined || right === '' ? [] : right.split(':');
  const zeros = Array<string>(8 - before.length - after.length).fill('0');
  const groups = right === undefined ? before : [...before, ...zeros, ...after];
  const bytes = Buffer.alloc(16);
  groups.forEach((group, index) => bytes.writeUInt16BE(Number.parseInt(group, 16), index * 2));
  return bytes;
}

function hex(high: string, low: string): string {
  return ((Number(high) << 8) | Number(low)).toString(16);
}
