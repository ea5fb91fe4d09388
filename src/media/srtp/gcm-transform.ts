import { createCipheriv, createDecipheriv } from 'node:crypto';
import type { SessionKeys } from './keys.js';
import type { SrtpSuite } from './suites.js';
import { RTCP_CLEAR, RTCP_INDEX_LENGTH } from './transform.js';
import type { SrtpTransform } from './transform.js';

const TAG = 16;
const ENCRYPTED = 0x80000000;

/** AES in Galois/counter mode (RFC 7714). */
export class GcmTransform implements SrtpTransform {
  readonly #algorithm: 'aes-128-gcm' | 'aes-256-gcm';
  readonly #key: Buffer;
  readonly #salt: Buffer;
  readonly #mkiLength: number;
  readonly #iv = Buffer.alloc(12);

  constructor(suite: SrtpSuite, keys: SessionKeys, mkiLength: number) {
    this.#algorithm = suite.keyLength === 32 ? 'aes-256-gcm' : 'aes-128-gcm';
    this.#key = keys.cipher;
    this.#salt = keys.salt;
    this.#mkiLength = mkiLength;
  }

  sealRtp(packet: Buffer, headerEnd: number, length: number, rollover: number): number {
    this.#rtpIv(packet, rollover);
    return this.#seal(packet, packet.subarray(0, headerEnd), headerEnd, length);
  }

  openRtp(packet: Buffer, headerEnd: number, length: number, rollover: number): number {
    const end = length - this.#mkiLength;
    if (end - TAG < headerEnd) return -1;
    this.#rtpIv(packet, rollover);
    return this.#open(packet, packet.subarray(0, headerEnd), headerEnd, end);
  }

  sealRtcp(packet: Buffer, length: number, index: number): number {
    const word = (index | ENCRYPTED) >>> 0;
    this.#rtcpIv(packet, index);
    const end = this.#seal(packet, rtcpHeader(packet, word), RTCP_CLEAR, length);
    return packet.writeUInt32BE(word, end);
  }

  openRtcp(packet: Buffer, length: number): number {
    const end = length - RTCP_INDEX_LENGTH - this.#mkiLength;
    if (end - TAG < RTCP_CLEAR) return -1;
    const word = packet.readUInt32BE(end);
    this.#rtcpIv(packet, word & 0x7fffffff);
    if (word >= ENCRYPTED) return this.#open(packet, rtcpHeader(packet, word), RTCP_CLEAR, end);
    // Not encrypted, still authenticated: all of it is associated data (RFC 7714 section 9.3).
    const index = packet.subarray(end, end + RTCP_INDEX_LENGTH);
    return this.#open(packet, Buffer.concat([packet.subarray(0, end - TAG), index]), end - TAG, end);
  }

  /** RFC 7714 section 8.1. */
  #rtpIv(packet: Buffer, rollover: number): void {
    const iv = this.#iv;
    iv.writeUInt16BE(0, 0);
    packet.copy(iv, 2, 8, 12);
    iv.writeUInt32BE(rollover, 6);
    packet.copy(iv, 10, 2, 4);
    this.#saltIv();
  }

  /** RFC 7714 section 9.1. */
  #rtcpIv(packet: Buffer, index: number): void {
    const iv = this.#iv;
    iv.writeUInt16BE(0, 0);
    packet.copy(iv, 2, 4, 8);
    iv.writeUInt16BE(0, 6);
    iv.writeUInt32BE(index, 8);
    this.#saltIv();
  }

  #saltIv(): void {
    for (let i = 0; i < this.#iv.length; i += 1) this.#iv[i]! ^= this.#salt[i]!;
  }

  #seal(packet: Buffer, header: Buffer, start: number, end: number): number {
    const cipher = createCipheriv(this.#algorithm, this.#key, this.#iv);
    cipher.setAAD(header);
    cipher.update(packet.subarray(start, end)).copy(packet, start);
    cipher.final();
    return end + cipher.getAuthTag().copy(packet, end);
  }

  #open(packet: Buffer, header: Buffer, start: number, end: number): number {
    const tagAt = end - TAG;
    const decipher = createDecipheriv(this.#algorithm, this.#key, this.#iv, { authTagLength: TAG });
    decipher.setAAD(header);
    decipher.setAuthTag(packet.subarray(tagAt, end));
    const plain = decipher.update(packet.subarray(start, tagAt));
    try {
      decipher.final();
    } catch {
      return -1; // The tag is wrong: node:crypto has no other way to say so.
    }
    plain.copy(packet, start);
    return tagAt;
  }
}

function rtcpHeader(packet: Buffer, word: number): Buffer {
  const header = Buffer.allocUnsafe(RTCP_CLEAR + RTCP_INDEX_LENGTH);
  packet.copy(header, 0, 0, RTCP_CLEAR);
  header.writeUInt32BE(word, RTCP_CLEAR);
  return header;
}
