/** RTCP feedback (RFC 4585, RFC 5104, draft-alvestrand-rmcat-remb): requests of receivers of media to its sender. */
import { readUint32, writeUint32 } from './header.js';
import { RTCP_PAYLOAD_FEEDBACK, RTCP_TRANSPORT_FEEDBACK, type RtcpCursor, writeRtcpHeader } from './rtcp.js';

/** Feedback formats of {@link RTCP_TRANSPORT_FEEDBACK}. */
export const FEEDBACK_NACK = 1;
export const FEEDBACK_TRANSPORT_CC = 15;
/** Feedback formats of {@link RTCP_PAYLOAD_FEEDBACK}. */
export const FEEDBACK_PLI = 1;
export const FEEDBACK_FIR = 4;
export const FEEDBACK_APPLICATION = 15;

/** Common header, SSRC of the sender, SSRC of the media source. */
const FEEDBACK_HEADER = 12;
const REMB_IDENTIFIER = 0x52454d42;
const REMB_HEADER = FEEDBACK_HEADER + 8;
const MAX_REMB_SOURCES = 255;
/** Sequence numbers that one NACK item can name: the first, and 16 by bit mask. */
const NACK_SPAN = 16;

/** @returns SSRC of the media source in the feedback at the cursor; -1 if the packet is too short */
export function feedbackSource(packet: Uint8Array, cursor: RtcpCursor): number {
  return cursor.start + 8 > cursor.end ? -1 : readUint32(packet, cursor.start + 4);
}

/** Calls back with each sequence number in the generic NACK at the cursor (RFC 4585 section 6.2.1). */
export function readNack(
  packet: Uint8Array,
  cursor: RtcpCursor,
  onSequence: (sequence: number) => void,
): void {
  for (let at = cursor.start + 8; at + 4 <= cursor.end; at += 4) {
    const first = (packet[at]! << 8) | packet[at + 1]!;
    const mask = (packet[at + 2]! << 8) | packet[at + 3]!;
    onSequence(first);
    for (let bit = 0; bit < NACK_SPAN; bit += 1) {
      if ((mask & (1 << bit)) !== 0) onSequence((first + bit + 1) & 0xffff);
    }
  }
}

/** @returns the sources of which the FIR at the cursor requests a key frame (RFC 5104 section 4.3.1) */
export function readFirSources(packet: Uint8Array, cursor: RtcpCursor): number[] {
  const sources: number[] = [];
  for (let at = cursor.start + 8; at + 8 <= cursor.end; at += 8) sources.push(readUint32(packet, at));
  return sources;
}

/** @returns bit rate (bits per second) of the REMB at the cursor; undefined if it is no REMB */
export function readRemb(packet: Uint8Array, cursor: RtcpCursor): number | undefined {
  const at = cursor.start + 8;
  if (at + 8 > cursor.end || readUint32(packet, at) !== REMB_IDENTIFIER) return undefined;
  const exponent = packet[at + 5]! >> 2;
  const mantissa = ((packet[at + 5]! & 3) << 16) | (packet[at + 6]! << 8) | packet[at + 7]!;
  return mantissa * 2 ** exponent;
}

export function writePli(sender: number, source: number): Buffer {
  return feedback(RTCP_PAYLOAD_FEEDBACK, FEEDBACK_PLI, sender, source, 0);
}

/** @param command counts up with each new request (RFC 5104 section 4.3.1.1) */
export function writeFir(sender: number, source: number, command: number): Buffer {
  const packet = feedback(RTCP_PAYLOAD_FEEDBACK, FEEDBACK_FIR, sender, 0, 8);
  writeUint32(packet, FEEDBACK_HEADER, source);
  packet[FEEDBACK_HEADER + 4] = command;
  return packet;
}

/** @param sequences lost sequence numbers, ascending over the wrap; not empty */
export function writeNack(sender: number, source: number, sequences: readonly number[]): Buffer {
  const items: { first: number; mask: number }[] = [];
  for (const sequence of sequences) {
    const last = items.at(-1);
    const distance = last ? (sequence - last.first) & 0xffff : 0;
    if (last && distance >= 1 && distance <= NACK_SPAN) last.mask |= 1 << (distance - 1);
    else items.push({ first: sequence, mask: 0 });
  }
  const packet = feedback(RTCP_TRANSPORT_FEEDBACK, FEEDBACK_NACK, sender, source, 4 * items.length);
  items.forEach(({ first, mask }, index) => {
    writeUint32(packet, FEEDBACK_HEADER + 4 * index, ((first << 16) | mask) >>> 0);
  });
  return packet;
}

/** @param bitrate bits per second that the sender of `sources` may use for them together */
export function writeRemb(sender: number, bitrate: number, sources: readonly number[]): Buffer {
  const named = sources.slice(0, MAX_REMB_SOURCES);
  const packet = feedback(RTCP_PAYLOAD_FEEDBACK, FEEDBACK_APPLICATION, sender, 0, 8 + 4 * named.length);
  let mantissa = Math.max(0, Math.floor(bitrate));
  let exponent = 0;
  while (mantissa > 0x3ffff) {
    mantissa = Math.floor(mantissa / 2);
    exponent += 1;
  }
  writeUint32(packet, FEEDBACK_HEADER, REMB_IDENTIFIER);
  writeUint32(packet, FEEDBACK_HEADER + 4, ((named.length << 24) | (exponent << 18) | mantissa) >>> 0);
  named.forEach((source, index) => writeUint32(packet, REMB_HEADER + 4 * index, source));
  return packet;
}

function feedback(type: number, format: number, sender: number, source: number, extra: number): Buffer {
  const length = FEEDBACK_HEADER + extra;
  const packet = Buffer.alloc(length);
  writeRtcpHeader(packet, 0, format, type, length);
  writeUint32(packet, 4, sender);
  writeUint32(packet, 8, source);
  return packet;
}
