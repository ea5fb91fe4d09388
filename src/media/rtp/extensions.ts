/**
 * RTP header extensions (RFC 8285), one-byte and two-byte form, in place. All functions expect a packet that
 * `rtpPayloadOffset` has accepted, and its result.
 */
import { RTP_FIXED_HEADER } from './header.js';

const ONE_BYTE_PROFILE = 0xbede;
/** Upper 12 bits of the two-byte profile; the low four are application bits. */
const TWO_BYTE_PROFILE = 0x100;
/** Id that ends a one-byte block (RFC 8285 section 4.2). */
const STOP = 15;

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

const blanked: ExtensionSpan = { offset: 0, length: 0 };

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
