/** RTCP extended reports (RFC 3611), of which only the VoIP metrics are read. */
import { readUint32 } from './header.js';
import type { RtcpCursor } from './rtcp.js';

const BLOCK_HEADER = 4;
const VOIP_METRICS = 7;
/** Length of a VoIP metrics block's contents, in 32-bit words (section 4.7). */
const VOIP_METRICS_WORDS = 8;

/** What a VoIP metrics block (RFC 3611 section 4.7) tells of the stream of one SSRC, as far as it is used. */
export interface VoipMetrics {
  readonly ssrc: number;
  /** Share of the packets, 0 to 1, since the stream began. */
  readonly lossRate: number;
  /** Share that came too early or too late to be played. */
  readonly discardRate: number;
  /** Absent when the reporter does not know it. */
  readonly roundTripMs?: number;
}

/**
 * @param take gets each VoIP metrics block of the XR packet at the cursor
 * @returns false when a block is not as long as its kind, or longer than the packet; what follows it is not read
 */
export function readVoipMetrics(
  packet: Uint8Array,
  cursor: RtcpCursor,
  take: (metrics: VoipMetrics) => void,
): boolean {
  let at = cursor.start + 4;
  while (at + BLOCK_HEADER <= cursor.end) {
    const words = (packet[at + 2]! << 8) | packet[at + 3]!;
    const next = at + BLOCK_HEADER + 4 * words;
    if (next > cursor.end) return false;
    if (packet[at] === VOIP_METRICS) {
      if (words !== VOIP_METRICS_WORDS) return false;
      take(metricsAt(packet, at + BLOCK_HEADER));
    }
    at = next;
  }
  return at === cursor.end;
}

function metricsAt(packet: Uint8Array, at: number): VoipMetrics {
  const roundTripMs = (packet[at + 12]! << 8) | packet[at + 13]!;
  return {
    ssrc: readUint32(packet, at),
    lossRate: packet[at + 4]! / 256,
    discardRate: packet[at + 5]! / 256,
    // 0: it was not measured yet.
    ...(roundTripMs > 0 && { roundTripMs }),
  };
}
