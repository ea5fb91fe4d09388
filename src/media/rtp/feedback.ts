/** RTCP feedback (RFC 4585, RFC 5104, draft-alvestrand-rmcat-remb): requests of receivers of media to its sender. */
import { readUint32, writeUint32 } from './header.js';
import { RTCP_PAYLOAD_FEEDBACK, RTCP_TRANSPORT_FEEDBACK, type RtcpCursor, writeRtcpHeader } from './rtcp.js';

/** Feedback formats of {@link RTCP_TRANSPORT_FEEDBACK}. */
export const FEEDBACK_NACK = 1;
const FEEDBACK_TRANSPORT_CC = 15;
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

/** @returns bit rate (bits per second) of the REMB at the cursor; undefined if it is not a REMB */
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

/**
 * Transport-wide congestion control feedback (draft-holmer-rmcat-transport-wide-cc-extensions-01): tells a sender
 * when each of its packets arrived.
 */

/** Unit of arrival deltas. */
const TICK_MS = 0.25;

/** Unit of the reference time. */
const REFERENCE_MS = 64;
const HEADER = 20;
const SYMBOLS_PER_VECTOR = 7;
const MAX_RUN = 0x1fff;
const LOST = 0;
const SMALL_DELTA = 1;
const LARGE_DELTA = 2;

interface TransportFeedback {
  readonly sender: number;
  readonly source: number;
  /** Transport-wide sequence number of the first packet. */
  readonly baseSequence: number;
  /** Arrival times in ms of the packets from the first on, which has arrived; NaN for those that did not arrive. */
  readonly arrivals: readonly number[];
  /** Counts feedback packets. */
  readonly feedbackCount: number;
}

/** Writes one feedback packet. Deltas that do not fit into 16 bits count as lost. */
export function writeTransportFeedback(feedback: TransportFeedback): Buffer {
  const { arrivals, baseSequence, feedbackCount, sender, source } = feedback;
  const reference = Math.floor(arrivals[0]! / REFERENCE_MS);
  const { symbols, deltas } = measure(arrivals, reference * REFERENCE_MS);
  const chunks = encodeChunks(symbols);
  const deltaLength = symbols.reduce((sum, symbol) => sum + symbol, 0);
  const length = HEADER + 2 * chunks.length + deltaLength;
  const packet = Buffer.alloc(4 * Math.ceil(length / 4));
  writeRtcpHeader(packet, 0, FEEDBACK_TRANSPORT_CC, RTCP_TRANSPORT_FEEDBACK, packet.length);
  writeUint32(packet, 4, sender);
  writeUint32(packet, 8, source);
  packet.writeUInt16BE(baseSequence, 12);
  packet.writeUInt16BE(symbols.length, 14);
  writeUint32(packet, 16, ((reference & 0xffffff) << 8) | (feedbackCount & 0xff));
  let at = HEADER;
  for (const chunk of chunks) at = packet.writeUInt16BE(chunk, at);
  let next = 0;
  for (const symbol of symbols) {
    if (symbol === LOST) continue;
    const delta = deltas[next]!;
    next += 1;
    at = symbol === SMALL_DELTA ? packet.writeUInt8(delta, at) : packet.writeInt16BE(delta, at);
  }
  return packet;
}

/** Status symbols of all packets, and deltas in ticks of those that arrived. A symbol is its delta's length in bytes. */
function measure(arrivals: readonly number[], reference: number): { symbols: number[]; deltas: number[] } {
  const deltas: number[] = [];
  let last = Math.round(reference / TICK_MS);
  const symbols = arrivals.map((arrival) => {
    if (Number.isNaN(arrival)) return LOST;
    const tick = Math.round(arrival / TICK_MS);
    const delta = tick - last;
    if (delta < -0x8000 || delta > 0x7fff) return LOST;
    last = tick;
    deltas.push(delta);
    return delta >= 0 && delta <= 0xff ? SMALL_DELTA : LARGE_DELTA;
  });
  return { symbols, deltas };
}

/** Run lengths where a symbol repeats longer than fits into a vector, otherwise two-bit status vectors. */
function encodeChunks(symbols: readonly number[]): number[] {
  const chunks: number[] = [];
  for (let at = 0; at < symbols.length;) {
    const run = runLength(symbols, at);
    if (run >= SYMBOLS_PER_VECTOR || run === symbols.length - at) {
      chunks.push((symbols[at]! << 13) | run);
      at += run;
    } else {
      chunks.push(vectorChunk(symbols, at));
      at += SYMBOLS_PER_VECTOR;
    }
  }
  return chunks;
}

function runLength(symbols: readonly number[], from: number): number {
  let to = from + 1;
  while (to < symbols.length && symbols[to] === symbols[from] && to - from < MAX_RUN) to += 1;
  return to - from;
}

function vectorChunk(symbols: readonly number[], from: number): number {
  let chunk = 0xc000;
  for (let i = 0; i < SYMBOLS_PER_VECTOR; i += 1) {
    chunk |= (symbols[from + i] ?? LOST) << (2 * (SYMBOLS_PER_VECTOR - 1 - i));
  }
  return chunk;
}
