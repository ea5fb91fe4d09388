/**
 * Transport-wide congestion control feedback (draft-holmer-rmcat-transport-wide-cc-extensions-01): tells a sender
 * when each of its packets arrived.
 */
import { writeUint32 } from './header.js';
import { FEEDBACK_TRANSPORT_CC } from './feedback.js';
import { RTCP_TRANSPORT_FEEDBACK, writeRtcpHeader } from './rtcp.js';

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
