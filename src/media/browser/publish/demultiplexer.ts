import { findRtpExtension, rtpPayloadType, rtpSsrc } from '../../rtp/index.js';
import { MID_EXTENSION } from '../sdp/writer.js';
import type { Uplink } from './uplink.js';

/** Most SSRCs that are learnt from packets instead of the SDP; no real publisher has more. */
const MAX_LEARNT = 64;

/** Finds the m-line that a packet belongs to (RFC 9143 section 9.2): by SSRC, by MID, by payload type. */
export class Demultiplexer {
  #uplinks: readonly Uplink[] = [];
  #bySsrc = new Map<number, Uplink>();
  #byMid = new Map<string, Uplink>();
  #learnt = 0;
  readonly #span = { offset: 0, length: 0 };

  /** Replaces the m-lines; what was learnt of the old ones is forgotten. */
  update(uplinks: readonly Uplink[]): void {
    this.#uplinks = uplinks;
    this.#byMid = new Map(uplinks.map((uplink) => [uplink.media.section.mid, uplink]));
    this.#bySsrc = new Map(
      uplinks.flatMap((uplink) =>
        [...uplink.media.section.ssrcs, ...uplink.media.section.rtxSsrcs.values()].map(
          (ssrc) => [ssrc, uplink] as const,
        ),
      ),
    );
    this.#learnt = 0;
  }

  /** The m-line of a sender report's SSRC. */
  bySsrc(ssrc: number): Uplink | undefined {
    return this.#bySsrc.get(ssrc);
  }

  find(packet: Buffer, payloadOffset: number): Uplink | undefined {
    const ssrc = rtpSsrc(packet);
    return this.#bySsrc.get(ssrc) ?? this.#learn(ssrc, packet, payloadOffset);
  }

  #learn(ssrc: number, packet: Buffer, payloadOffset: number): Uplink | undefined {
    if (this.#learnt >= MAX_LEARNT) return undefined;
    const uplink = this.#byMidOf(packet, payloadOffset) ?? this.#byPayloadType(rtpPayloadType(packet));
    if (!uplink) return undefined;
    this.#learnt += 1;
    this.#bySsrc.set(ssrc, uplink);
    return uplink;
  }

  #byMidOf(packet: Buffer, payloadOffset: number): Uplink | undefined {
    // The id is the same in all m-lines of a bundle (RFC 8285 section 6).
    const id = this.#uplinks[0]?.media.section.extensions.get(MID_EXTENSION);
    if (id === undefined || !findRtpExtension(packet, payloadOffset, id, this.#span)) return undefined;
    const { offset, length } = this.#span;
    return this.#byMid.get(packet.toString('latin1', offset, offset + length));
  }

  #byPayloadType(payloadType: number): Uplink | undefined {
    const matching = this.#uplinks.filter(({ media }) =>
      [media.codec, media.rtx, media.telephoneEvent].some((format) => format?.payloadType === payloadType),
    );
    return matching.length === 1 ? matching[0] : undefined;
  }
}
