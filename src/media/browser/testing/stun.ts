import { createHmac, randomBytes } from 'node:crypto';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';

const MAGIC = Buffer.from('2112a442', 'hex');
const HEADER_BYTES = 20;
const INTEGRITY_BYTES = 24;
const BINDING_REQUEST = 0x0001;
const BINDING_SUCCESS = 0x0101;
const [USERNAME, MESSAGE_INTEGRITY, ERROR_CODE, PRIORITY, ICE_CONTROLLING] = [
  0x0006, 0x0008, 0x0009, 0x0024, 0x802a,
];

/** A connectivity check of a controlling ICE agent (RFC 8445 section 7.2.2). */
interface ConnectivityCheck {
  readonly port: number;
  readonly host: string;
  readonly username: string;
  readonly password: string;
  readonly tieBreaker: bigint;
}

/** Sends it until it is answered. @returns 200, or the code of the error response (RFC 8489 section 14.8) */
export async function check({ host, port, ...options }: ConnectivityCheck): Promise<number> {
  const request = bindingRequest(options);
  const socket = createSocket('udp4');
  const ask = (): void => socket.send(request, port, host);
  const asking = setInterval(ask, 100);
  try {
    for (;;) {
      ask();
      const [message] = (await once(socket, 'message')) as [Buffer];
      if (message.subarray(8, HEADER_BYTES).equals(request.subarray(8, HEADER_BYTES)))
        return outcome(message);
    }
  } finally {
    clearInterval(asking);
    socket.close();
  }
}

function bindingRequest({
  username,
  password,
  tieBreaker,
}: Pick<ConnectivityCheck, 'username' | 'password' | 'tieBreaker'>): Buffer {
  const number = Buffer.alloc(8);
  number.writeBigUInt64BE(tieBreaker);
  const attributes = Buffer.concat([
    attribute(USERNAME, Buffer.from(username)),
    attribute(PRIORITY, Buffer.from('6e7f1eff', 'hex')),
    attribute(ICE_CONTROLLING, number),
  ]);
  const header = Buffer.alloc(HEADER_BYTES);
  header.writeUInt16BE(BINDING_REQUEST, 0);
  header.writeUInt16BE(attributes.length + INTEGRITY_BYTES, 2);
  MAGIC.copy(header, 4);
  randomBytes(12).copy(header, 8);
  const signed = Buffer.concat([header, attributes]);
  const integrity = createHmac('sha1', password).update(signed).digest();
  return Buffer.concat([signed, attribute(MESSAGE_INTEGRITY, integrity)]);
}

function attribute(type: number, value: Buffer): Buffer {
  const padded = Buffer.alloc(4 + Math.ceil(value.length / 4) * 4);
  padded.writeUInt16BE(type, 0);
  padded.writeUInt16BE(value.length, 2);
  value.copy(padded, 4);
  return padded;
}

function outcome(response: Buffer): number {
  if (response.readUInt16BE(0) === BINDING_SUCCESS) return 200;
  for (let at = HEADER_BYTES; at < response.length;) {
    const length = response.readUInt16BE(at + 2);
    if (response.readUInt16BE(at) === ERROR_CODE) {
      return response.readUInt8(at + 6) * 100 + response.readUInt8(at + 7);
    }
    at += 4 + Math.ceil(length / 4) * 4;
  }
  throw new Error('Neither a success nor an error response.');
}
