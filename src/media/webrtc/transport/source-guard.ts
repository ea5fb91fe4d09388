import { isRtcp, readUint32, rtpSsrc } from '../../rtp/index.js';

/** More SSRCs than the streams of any session bring to one path, over all of its life. */
export const MAX_SOURCES = 4_096;

const SHORTEST_PACKET = 12;
const RTCP_SSRC_OFFSET = 4;

/**
 * Counts the SSRCs that come by one path. The SRTP library keeps a context for each, and looks through all of them for
 * each packet: a peer that makes up sources without end would slow everybody down.
 */
export class SourceGuard {
  readonly #seen = new Set<number>();

  /** @returns false when the packet is of one source too many */
  admits(packet: Buffer): boolean {
    // The library opens nothing shorter, so it has no source to keep a context for.
    if (packet.length < SHORTEST_PACKET) return true;
    const ssrc = isRtcp(packet) ? readUint32(packet, RTCP_SSRC_OFFSET) : rtpSsrc(packet);
    if (this.#seen.has(ssrc)) return true;
    if (this.#seen.size >= MAX_SOURCES) return false;
    this.#seen.add(ssrc);
    return true;
  }
}
