import { createCipheriv, createHmac, createSecretKey, timingSafeEqual } from 'node:crypto';
import type { Cipher, KeyObject } from 'node:crypto';
import type { SessionKeys } from './keys.js';
import type { SrtpSuite } from './suites.js';
import { RTCP_CLEAR, RTCP_INDEX_LENGTH } from './transform.js';
import type { SrtpTransform } from './transform.js';

const BLOCK = 16;
const MAX_BLOCKS = 128;
const ENCRYPTED = 0x80000000;

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
