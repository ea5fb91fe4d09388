import { randomInt } from 'node:crypto';

/**
 * RTP headers (RFC 3550 section 5.1), read and written in place. The readers of fields expect a packet that
 * {@link rtpPayloadOffset} has checked. Nothing here allocates.
 */

/** The only version in use. */
export const RTP_VERSION = 2;
/** Length in bytes of a header without CSRCs and extensions. */
export const RTP_FIXED_HEADER = 12;

const HAS_PADDING = 0x20;
const HAS_EXTENSION = 0x10;
const MARKER = 0x80;

/**
 * Whether a datagram on a port shared by RTP and RTCP is RTCP (RFC 5761 section 4: second byte 192 to 223). It may still
 * be malformed.
 */
export function isRtcp(packet: Uint8Array): boolean {
  const type = packet[1];
  return type !== undefined && type >= 192 && type <= 223;
}

/**
 * Checks that a datagram is an RTP packet: version, and lengths of CSRC list and extension block.
 * @returns index of the first payload byte, or -1 if it is not an RTP packet
 */
export function rtpPayloadOffset(packet: Uint8Array): number {
  if (packet.length < RTP_FIXED_HEADER) return -1;
  const first = packet[0]!;
  if (first >> 6 !== RTP_VERSION) return -1;
  let offset = RTP_FIXED_HEADER + 4 * (first & 0x0f);
  if ((first & HAS_EXTENSION) !== 0) {
    if (offset + 4 > packet.length) return -1;
    offset += 4 + 4 * ((packet[offset + 2]! << 8) | packet[offset + 3]!);
  }
  return offset > packet.length ? -1 : offset;
}

/**
 * @param payloadOffset the result of {@link rtpPayloadOffset}
 * @returns index after the last payload byte (without padding), or -1 if the padding count is wrong
 */
export function rtpPayloadEnd(packet: Uint8Array, payloadOffset: number): number {
  if ((packet[0]! & HAS_PADDING) === 0) return packet.length;
  const padding = packet[packet.length - 1]!;
  const end = packet.length - padding;
  return padding === 0 || end < payloadOffset ? -1 : end;
}

/** Marker bit: start of a talk spurt, or end of a video frame. */
export const rtpMarker = (packet: Uint8Array): boolean => (packet[1]! & MARKER) !== 0;
/** Payload type, 0 to 127. */
export const rtpPayloadType = (packet: Uint8Array): number => packet[1]! & 0x7f;
/** Sequence number, 16 bits. */
export const rtpSequence = (packet: Uint8Array): number => (packet[2]! << 8) | packet[3]!;
/** Timestamp in units of the codec’s clock, 32 bits. */
export const rtpTimestamp = (packet: Uint8Array): number => readUint32(packet, 4);
/** Synchronisation source, 32 bits. */
export const rtpSsrc = (packet: Uint8Array): number => readUint32(packet, 8);

/** Sets or clears the marker bit. */
export function setRtpMarker(packet: Uint8Array, marker: boolean): void {
  packet[1] = (packet[1]! & 0x7f) | (marker ? MARKER : 0);
}

/** @param payloadType its low seven bits are written */
export function setRtpPayloadType(packet: Uint8Array, payloadType: number): void {
  packet[1] = (packet[1]! & MARKER) | (payloadType & 0x7f);
}

/** Takes any integer and writes its low 16 bits. */
export function setRtpSequence(packet: Uint8Array, sequence: number): void {
  packet[2] = sequence >>> 8;
  packet[3] = sequence;
}

/** Takes any integer and writes its low 32 bits, so that callers may add without a modulo. */
export function setRtpTimestamp(packet: Uint8Array, timestamp: number): void {
  writeUint32(packet, 4, timestamp);
}

/** Takes any integer and writes its low 32 bits. */
export function setRtpSsrc(packet: Uint8Array, ssrc: number): void {
  writeUint32(packet, 8, ssrc);
}

/** Writes a header without CSRCs, extensions and padding into the first 12 bytes. */
export function writeRtpHeader(
  packet: Uint8Array,
  payloadType: number,
  marker: boolean,
  sequence: number,
  timestamp: number,
  ssrc: number,
): void {
  packet[0] = RTP_VERSION << 6;
  packet[1] = (marker ? MARKER : 0) | (payloadType & 0x7f);
  setRtpSequence(packet, sequence);
  setRtpTimestamp(packet, timestamp);
  setRtpSsrc(packet, ssrc);
}

/** Big-endian and unsigned; the caller has checked that four bytes are there. */
export function readUint32(bytes: Uint8Array, offset: number): number {
  return (
    ((bytes[offset]! << 24) | (bytes[offset + 1]! << 16) | (bytes[offset + 2]! << 8) | bytes[offset + 3]!) >>>
    0
  );
}

/** Big-endian; takes any integer and writes its low 32 bits. */
export function writeUint32(bytes: Uint8Array, offset: number, value: number): void {
  bytes[offset] = value >>> 24;
  bytes[offset + 1] = value >>> 16;
  bytes[offset + 2] = value >>> 8;
  bytes[offset + 3] = value;
}

/** Serial number arithmetic for RTP sequence numbers (16 bits) and timestamps (32 bits). */

/**
 * A random number to begin a stream with, of the lower half. If the first packets were lost, and with them a wrap to 0, the
 * receiver of an encrypted stream would never count that wrap (RFC 3711 section 3.3.1), and could decrypt nothing.
 */
export const firstSequence = (): number => randomInt(0x8000);

/** The next sequence number, modulo 2^16. */
export const nextSequence = (sequence: number): number => (sequence + 1) & 0xffff;

/** Distance from `b` to `a`, -32768 to 32767: positive when `a` comes after `b`. */
export function sequenceDelta(a: number, b: number): number {
  return ((a - b) << 16) >> 16;
}

/** Distance from `b` to `a`, -2^31 to 2^31-1: positive when `a` comes after `b`. */
export function timestampDelta(a: number, b: number): number {
  return (a - b) | 0;
}

/** Extends 16-bit sequence numbers beyond the wrap: each becomes the number nearest to the last one. */
export class SequenceUnwrapper {
  #last = -1;

  /** The extended sequence number; late packets get numbers before the last one's (never below 0). */
  unwrap(sequence: number): number {
    if (this.#last < 0) {
      // Begin one cycle up, so that packets before the first one have positive numbers too.
      this.#last = 0x10000 + sequence;
      return this.#last;
    }
    const extended = this.#last + sequenceDelta(sequence, this.#last & 0xffff);
    if (extended > this.#last) this.#last = extended;
    return extended;
  }

  reset(): void {
    this.#last = -1;
  }
}

/** RTP header extensions (RFC 8285), one-byte and two-byte form, in place. Their packets too must be checked before. */

const ONE_BYTE_PROFILE = 0xbede;
/** Upper 12 bits of the two-byte profile; the low four are application bits. */
const TWO_BYTE_PROFILE = 0x100;
/** Id that ends a one-byte block (RFC 8285 section 4.2). */
const STOP = 15;

const blanked: ExtensionSpan = { offset: 0, length: 0 };

/** The place of an extension element's data. The caller makes one and reuses it for all packets. */
interface ExtensionSpan {
  offset: number;
  length: number;
}

/**
 * Finds the element with the given id.
 * @returns whether it is there and complete; otherwise `span` is unchanged
 */
export function findRtpExtension(
  packet: Uint8Array,
  payloadOffset: number,
  id: number,
  span: ExtensionSpan,
): boolean {
  let at = elementsStart(packet);
  if (at === 0) return false;
  const twoByte = isTwoByte(packet, at);
  const headerLength = twoByte ? 2 : 1;
  while (at < payloadOffset) {
    const first = packet[at]!;
    if (first === 0) {
      at += 1;
      continue;
    }
    const elementId = twoByte ? first : first >> 4;
    if (!twoByte && elementId === STOP) return false;
    if (at + headerLength > payloadOffset) return false;
    const length = twoByte ? packet[at + 1]! : (first & 0x0f) + 1;
    const dataOffset = at + headerLength;
    if (dataOffset + length > payloadOffset) return false;
    if (elementId === id) {
      span.offset = dataOffset;
      span.length = length;
      return true;
    }
    at = dataOffset + length;
  }
  return false;
}

/** Turns the element with the given id into padding (zero bytes), so that the packet keeps its length. */
export function blankRtpExtension(packet: Uint8Array, payloadOffset: number, id: number): boolean {
  if (!findRtpExtension(packet, payloadOffset, id, blanked)) return false;
  const headerLength = isTwoByte(packet, elementsStart(packet)) ? 2 : 1;
  packet.fill(0, blanked.offset - headerLength, blanked.offset + blanked.length);
  return true;
}

/** Index of the first element; 0 if the packet has no extension block of a known profile. */
function elementsStart(packet: Uint8Array): number {
  if ((packet[0]! & 0x10) === 0) return 0;
  const start = RTP_FIXED_HEADER + 4 * (packet[0]! & 0x0f) + 4;
  const profile = (packet[start - 4]! << 8) | packet[start - 3]!;
  return profile === ONE_BYTE_PROFILE || profile >> 4 === TWO_BYTE_PROFILE ? start : 0;
}

function isTwoByte(packet: Uint8Array, start: number): boolean {
  return packet[start - 4] !== ONE_BYTE_PROFILE >> 8;
}

/** Packets above this are not forwarded: no browser or phone sends them. */
export const MAX_FORWARDED_PACKET = 2048;

/**
 * Memory for one packet on its way, which whoever gets it copies. Views are kept by length, since making a view costs
 * more than filling it.
 */
export class PacketScratch {
  readonly #memory = Buffer.allocUnsafeSlow(MAX_FORWARDED_PACKET);
  readonly #views: (Buffer | undefined)[] = [];

  /** The first `length` bytes; contents are those of the last use. */
  view(length: number): Buffer {
    return (this.#views[length] ??= this.#memory.subarray(0, length));
  }
}
