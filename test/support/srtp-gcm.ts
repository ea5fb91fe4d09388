import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';

const HEADER = 12;
const TAG = 16;
const KEY = 16;
const SALT = 12;

/** `a=crypto` line and packets of AEAD_AES_128_GCM, written for tests from RFC 7714 and not shared with the gateway. */
export class GcmSender {
  readonly #master = randomBytes(KEY + SALT);
  readonly #session = sessionKeys(this.#master);

  /** What goes into the offer, without `a=crypto:<tag> `. */
  get line(): string {
    return `AEAD_AES_128_GCM inline:${this.#master.toString('base64')}`;
  }

  /** Encrypts an RTP packet without extensions; its sequence numbers may not wrap. */
  seal(packet: Buffer): Buffer {
    const header = packet.subarray(0, HEADER);
    const cipher = createCipheriv('aes-128-gcm', this.#session.key, ivOf(header, this.#session.salt, 0));
    cipher.setAAD(header);
    return Buffer.concat([
      header,
      cipher.update(packet.subarray(HEADER)),
      cipher.final(),
      cipher.getAuthTag(),
    ]);
  }
}

/** The other way, with the key of an `a=crypto` line. */
export class GcmReceiver {
  readonly #session: ReturnType<typeof sessionKeys>;
  #rollovers = 0;
  #last = -1;

  /** @throws when there is no such line in the SDP */
  constructor(sdp: string) {
    const key = /^a=crypto:\d+ AEAD_AES_128_GCM inline:([^|\s]+)/m.exec(sdp)?.[1];
    if (key === undefined) throw new Error(`no key for AEAD_AES_128_GCM in\n${sdp}`);
    this.#session = sessionKeys(Buffer.from(key, 'base64'));
  }

  /** Decrypts a packet of a stream in order. @throws when it is not authentic */
  open(packet: Buffer): Buffer {
    const sequence = packet.readUInt16BE(2);
    if (sequence < this.#last) this.#rollovers += 1;
    this.#last = sequence;
    const header = packet.subarray(0, HEADER);
    const iv = ivOf(header, this.#session.salt, this.#rollovers);
    const decipher = createDecipheriv('aes-128-gcm', this.#session.key, iv);
    decipher.setAAD(header);
    decipher.setAuthTag(packet.subarray(packet.length - TAG));
    const sealed = packet.subarray(HEADER, packet.length - TAG);
    return Buffer.concat([header, decipher.update(sealed), decipher.final()]);
  }
}

/** RFC 3711 section 4.3.1 with the short salt of RFC 7714 section 11. */
function sessionKeys(master: Buffer): { key: Buffer; salt: Buffer } {
  const derive = (label: number, length: number): Buffer => {
    const iv = Buffer.alloc(16);
    master.copy(iv, 0, KEY);
    iv[7]! ^= label;
    const cipher = createCipheriv('aes-128-ctr', master.subarray(0, KEY), iv);
    return cipher.update(Buffer.alloc(length));
  };
  return { key: derive(0, KEY), salt: derive(2, SALT) };
}

/** RFC 7714 section 8.1. */
function ivOf(header: Buffer, salt: Buffer, rollovers: number): Buffer {
  const iv = Buffer.alloc(12);
  header.copy(iv, 2, 8, 12);
  iv.writeUInt32BE(rollovers, 6);
  header.copy(iv, 10, 2, 4);
  return Buffer.from(iv.map((byte, i) => byte ^ salt[i]!));
}
