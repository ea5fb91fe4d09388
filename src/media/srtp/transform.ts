import {
  type Cipher,
  createCipheriv,
  createDecipheriv,
  createHmac,
  createSecretKey,
  type KeyObject,
  timingSafeEqual,
} from 'node:crypto';
import type { SessionKeys, SrtpSuite } from './keys.js';

/** Length of GCM's tag. */
const GCM_TAG = 16;
/** E flag of SRTCP's index (RFC 3711 section 3.4). */
const ENCRYPTED = 0x80000000;
/** AES blocks: their length, and how many fill the longest datagram that is sent here. */
const BLOCK = 16;
const MAX_BLOCKS = 128;

/** SRTCP packets start with 8 bytes in the clear (RFC 3711 section 3.4). */
const RTCP_CLEAR = 8;
/** E flag and 31 bits of index. */
export const RTCP_INDEX_LENGTH = 4;

/**
 * One cipher with one set of session keys, in place. `packet` must have room for what sealing adds. Opening returns -1,
 * and leaves no plain text behind, when the tag is wrong.
 */
export interface SrtpTransform {
  /** @returns length of the sealed packet */
  sealRtp(packet: Buffer, headerEnd: number, length: number, rollover: number): number;
  /** @returns length of the plain packet, -1: not authentic */
  openRtp(packet: Buffer, headerEnd: number, length: number, rollover: number): number;
  /** @returns length of the sealed packet */
  sealRtcp(packet: Buffer, length: number, index: number): number;
  /** @returns length of the plain packet, -1: not authentic */
  openRtcp(packet: Buffer, length: number): number;
}

/** Index of an SRTCP packet, without the E flag; the caller has checked that it is long enough. */
export function readRtcpIndex(suite: SrtpSuite, packet: Buffer, length: number, mkiLength: number): number {
  const tagBehind = suite.mode === 'gcm' ? 0 : suite.rtcpTagLength;
  return packet.readUInt32BE(length - tagBehind - mkiLength - RTCP_INDEX_LENGTH) & 0x7fffffff;
}

/** AES in counter mode with HMAC-SHA1 (RFC 3711 sections 4.1.1 and 4.2.1). */
export class CounterTransform implements SrtpTransform {
  readonly #suite: SrtpSuite;
  readonly #mkiLength: number;
  /** One ECB cipher makes the key streams of all packets: creating a cipher costs more than encrypting a packet. */
  readonly #cipher: Cipher;
  readonly #salt: Buffer;
  readonly #authKey: KeyObject;
  readonly #counters = Buffer.alloc(BLOCK * MAX_BLOCKS);
  readonly #rollover = Buffer.alloc(4);

  constructor(suite: SrtpSuite, keys: SessionKeys, mkiLength: number) {
    this.#suite = suite;
    this.#mkiLength = mkiLength;
    this.#cipher = createCipheriv(suite.keyLength === 32 ? 'aes-256-ecb' : 'aes-128-ecb', keys.cipher, null);
    this.#cipher.setAutoPadding(false);
    this.#salt = keys.salt;
    this.#authKey = createSecretKey(keys.auth);
  }

  sealRtp(packet: Buffer, headerEnd: number, length: number, rollover: number): number {
    this.#crypt(packet, headerEnd, length, 8, rollover, packet.readUInt16BE(2));
    const tag = this.#rtpTag(packet, length, rollover);
    return length + tag.copy(packet, length, 0, this.#suite.rtpTagLength);
  }

  openRtp(packet: Buffer, headerEnd: number, length: number, rollover: number): number {
    const { rtpTagLength } = this.#suite;
    const end = length - rtpTagLength - this.#mkiLength;
    if (end < headerEnd) return -1;
    const tag = this.#rtpTag(packet, end, rollover);
    if (!sameTag(tag, packet, length, rtpTagLength)) return -1;
    this.#crypt(packet, headerEnd, end, 8, rollover, packet.readUInt16BE(2));
    return end;
  }

  sealRtcp(packet: Buffer, length: number, index: number): number {
    this.#crypt(packet, RTCP_CLEAR, length, 4, index >>> 16, index & 0xffff);
    packet.writeUInt32BE((index | ENCRYPTED) >>> 0, length);
    const end = length + RTCP_INDEX_LENGTH;
    return end + this.#mac(packet, end).copy(packet, end, 0, this.#suite.rtcpTagLength);
  }

  openRtcp(packet: Buffer, length: number): number {
    const { rtcpTagLength } = this.#suite;
    const end = length - rtcpTagLength - this.#mkiLength;
    const clearEnd = end - RTCP_INDEX_LENGTH;
    if (clearEnd < RTCP_CLEAR) return -1;
    if (!sameTag(this.#mac(packet, end), packet, length, rtcpTagLength)) return -1;
    const word = packet.readUInt32BE(clearEnd);
    const index = word & 0x7fffffff;
    if (word >= ENCRYPTED) this.#crypt(packet, RTCP_CLEAR, clearEnd, 4, index >>> 16, index & 0xffff);
    return clearEnd;
  }

  /**
   * Adds the key stream to `packet[start, end)`.
   * @param ssrcAt index of the packet's SSRC
   * @param high upper 32 bits of the 48-bit packet index, `low` its lower 16
   */
  #crypt(packet: Buffer, start: number, end: number, ssrcAt: number, high: number, low: number): void {
    const counters = this.#counters;
    const blocks = Math.ceil((end - start) / BLOCK);
    if (blocks > MAX_BLOCKS) throw new RangeError('The packet is longer than a datagram.');
    this.#salt.copy(counters);
    for (let i = 0; i < 4; i += 1) counters[4 + i]! ^= packet[ssrcAt + i]!;
    counters[8]! ^= high >>> 24;
    counters[9]! ^= (high >>> 16) & 0xff;
    counters[10]! ^= (high >>> 8) & 0xff;
    counters[11]! ^= high & 0xff;
    counters[12]! ^= low >>> 8;
    counters[13]! ^= low & 0xff;
    for (let block = 0; block < blocks; block += 1) {
      const at = block * BLOCK;
      if (block > 0) counters.copyWithin(at, 0, BLOCK - 2);
      counters[at + 14] = block >>> 8;
      counters[at + 15] = block & 0xff;
    }
    const stream = this.#cipher.update(counters.subarray(0, blocks * BLOCK));
    for (let i = start, s = 0; i < end; i += 1, s += 1) packet[i]! ^= stream[s]!;
  }

  #rtpTag(packet: Buffer, end: number, rollover: number): Buffer {
    this.#rollover.writeUInt32BE(rollover);
    return createHmac('sha1', this.#authKey).update(packet.subarray(0, end)).update(this.#rollover).digest();
  }

  #mac(packet: Buffer, end: number): Buffer {
    return createHmac('sha1', this.#authKey).update(packet.subarray(0, end)).digest();
  }
}

function sameTag(tag: Buffer, packet: Buffer, length: number, tagLength: number): boolean {
  return timingSafeEqual(tag.subarray(0, tagLength), packet.subarray(length - tagLength, length));
}

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
    if (end - GCM_TAG < headerEnd) return -1;
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
    if (end - GCM_TAG < RTCP_CLEAR) return -1;
    const word = packet.readUInt32BE(end);
    this.#rtcpIv(packet, word & 0x7fffffff);
    if (word >= ENCRYPTED) return this.#open(packet, rtcpHeader(packet, word), RTCP_CLEAR, end);
    // Not encrypted, still authenticated: all of it is associated data (RFC 7714 section 9.3).
    const index = packet.subarray(end, end + RTCP_INDEX_LENGTH);
    return this.#open(packet, Buffer.concat([packet.subarray(0, end - GCM_TAG), index]), end - GCM_TAG, end);
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
    const tagAt = end - GCM_TAG;
    const decipher = createDecipheriv(this.#algorithm, this.#key, this.#iv, { authTagLength: GCM_TAG });
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
