import { rtpPayloadOffset, rtpSequence } from '../rtp/index.js';
import { deriveRtcpKeys, deriveRtpKeys } from './keys.js';
import type { MasterKey } from './keys.js';
import type { SrtpSuite } from './suites.js';
import { createTransform } from './transform.js';
import type { SrtpTransform } from './transform.js';

/** The most that sealing adds to a packet, in bytes: index and tag of SRTCP with GCM. */
export const SRTP_OVERHEAD = 20;

/** Seals what we send: one SSRC, packets in order. */
export class SrtpSender {
  readonly #rtp: SrtpTransform;
  readonly #rtcp: SrtpTransform;
  #rollover = 0;
  #lastSequence = -1;
  #rtcpIndex = 0;

  constructor(suite: SrtpSuite, master: MasterKey) {
    this.#rtp = createTransform(suite, deriveRtpKeys(suite, master), 0);
    this.#rtcp = createTransform(suite, deriveRtcpKeys(suite, master), 0);
  }

  /**
   * Seals `packet[0, length)` in place; there must be room for {@link SRTP_OVERHEAD} more.
   * @returns the new length
   */
  protectRtp(packet: Buffer, length: number): number {
    const sequence = rtpSequence(packet);
    if (sequence < this.#lastSequence) this.#rollover += 1;
    this.#lastSequence = sequence;
    return this.#rtp.sealRtp(packet, rtpPayloadOffset(packet), length, this.#rollover);
  }

  /** @returns the sealed packet, in a buffer of its own */
  protectRtcp(packet: Buffer): Buffer {
    const sealed = Buffer.alloc(packet.length + SRTP_OVERHEAD);
    packet.copy(sealed);
    this.#rtcpIndex = (this.#rtcpIndex + 1) & 0x7fffffff;
    return sealed.subarray(0, this.#rtcp.sealRtcp(sealed, packet.length, this.#rtcpIndex));
  }
}
