import type { SrtpSuite } from './suites.js';

/** SRTCP packets start with 8 bytes in the clear (RFC 3711 section 3.4). */
export const RTCP_CLEAR = 8;
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
