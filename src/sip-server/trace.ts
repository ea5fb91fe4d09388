import { createSocket, type Socket } from 'node:dgram';
import { isIPv6 } from 'node:net';
import { type Log, sipTokenMask } from '../shared/index.js';
import type { Flow } from './transport/flow.js';

/** A Homer server that is sent a copy of every message. */
export interface CaptureOptions {
  /** An IP address. */
  readonly host: string;
  readonly port: number;
  /** The number that identifies this node in Homer. */
  readonly agentId: number;
  readonly password?: string | undefined;
}

interface Capture {
  readonly options: CaptureOptions;
  readonly socket: Socket;
}

/** A UDP datagram holds no more. Longer messages are truncated in the capture only. */
const MAX_CAPTURED_BYTES = 60_000;

const CALL_ID = /^(?:Call-ID|i)[ \t]*:[ \t]*(\S+)/im;

/** Told of every message that comes in or goes out, as it is. Whoever keeps the bytes copies them. */
export type MessageTap = (
  direction: 'in' | 'out',
  bytes: Buffer,
  path: Pick<Flow, 'transport' | 'local' | 'remote'>,
) => void;

/** Copies every message, with secrets masked, to the log (at debug level) and to Homer, and as it is to a tap. */
export class MessageTrace {
  readonly #log: Log;
  /** Hides the secrets in a message's text. */
  readonly mask: (text: string) => string;
  readonly #capture: Capture | undefined;
  readonly #tap: MessageTap | undefined;

  constructor(
    log: Log,
    maskedHeaders: readonly string[],
    capture: CaptureOptions | undefined,
    tap?: MessageTap,
  ) {
    this.#log = log;
    this.#tap = tap;
    this.mask = sipTokenMask(maskedHeaders);
    if (!capture) return;
    const socket = createSocket(isIPv6(capture.host) ? 'udp6' : 'udp4');
    socket.on('error', (error) => log.warn({ error: error.message }, 'capture socket error'));
    socket.unref();
    this.#capture = { options: capture, socket };
  }

  message(direction: 'in' | 'out', bytes: Buffer, flow: Flow): void {
    this.#tap?.(direction, bytes, flow);
    const debug = this.#log.isLevelEnabled?.('debug') ?? true;
    if (!debug && !this.#capture) return;
    const text = this.mask(bytes.toString('latin1'));
    if (debug) {
      const peer = `${flow.transport}/${flow.remote.host}:${flow.remote.port}`;
      const sip = Buffer.from(text, 'latin1').toString('utf8');
      const callId = CALL_ID.exec(text)?.[1];
      this.#log.debug({ direction, peer, callId, sip }, 'SIP message');
    }
    if (this.#capture) this.#toHomer(this.#capture, direction, text, flow);
  }

  /** Sends a report on the quality of a call to Homer, which shows it with the call. */
  quality(callId: string, at: { readonly host: string; readonly port: number }, report: object): void {
    if (!this.#capture) return;
    this.#send(this.#capture, {
      protocol: 'udp',
      source: at,
      destination: at,
      time: Date.now(),
      payload: Buffer.from(JSON.stringify(report)),
      type: TYPE_QUALITY,
      correlationId: callId,
    });
  }

  close(): void {
    this.#capture?.socket.close();
  }

  #toHomer(capture: Capture, direction: 'in' | 'out', text: string, flow: Flow): void {
    this.#send(capture, {
      protocol: flow.transport === 'udp' ? 'udp' : 'tcp',
      source: direction === 'in' ? flow.remote : flow.local,
      destination: direction === 'in' ? flow.local : flow.remote,
      time: Date.now(),
      payload: Buffer.from(text.slice(0, MAX_CAPTURED_BYTES), 'latin1'),
    });
  }

  #send({ options, socket }: Capture, captured: CapturedPacket): void {
    const packet = encodeHep(captured, { id: options.agentId, password: options.password });
    // A lost capture must not delay a call. The socket's error event logs it.
    socket.send(packet, options.port, options.host, () => undefined);
  }
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
  correlationId: 17,
} as const;

const AF_INET = 2;
const AF_INET6 = 10;
const TYPE_SIP = 1;
/** A report on quality, as JSON. */
const TYPE_QUALITY = 34;

/** One captured packet. */
interface CapturedPacket {
  readonly protocol: 'udp' | 'tcp';
  readonly source: { readonly host: string; readonly port: number };
  readonly destination: { readonly host: string; readonly port: number };
  /** Milliseconds since 1970. */
  readonly time: number;
  readonly payload: Buffer;
  /** Default: SIP. */
  readonly type?: number;
  /** The Call-ID of the call that it belongs to, where the payload does not tell it. */
  readonly correlationId?: string;
}

/** The capturing node, as Homer shows it. */
interface CaptureAgent {
  readonly id: number;
  readonly password?: string | undefined;
}

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
    byte(CHUNK.type, packet.type ?? TYPE_SIP),
    long(CHUNK.agent, agent.id),
  ];
  if (agent.password !== undefined) chunks.push(chunk(CHUNK.password, Buffer.from(agent.password)));
  if (packet.correlationId !== undefined)
    chunks.push(chunk(CHUNK.correlationId, Buffer.from(packet.correlationId)));
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
