import { rtpPayloadEnd, setRtpPayloadType, setRtpSequence, setRtpSsrc } from '../../rtp/index.js';

const OSN_LENGTH = 2;

/**
 * Makes the packet that a retransmission repeats (RFC 4588 section 4), in the retransmission's memory.
 * @returns undefined for one without a payload, which only probes the network
 */
export function restoreRetransmission(
  packet: Buffer,
  payloadOffset: number,
  ssrc: number,
  payloadType: number,
): Buffer | undefined {
  if (rtpPayloadEnd(packet, payloadOffset) < payloadOffset + OSN_LENGTH) return undefined;
  const sequence = packet.readUInt16BE(payloadOffset);
  packet.copyWithin(OSN_LENGTH, 0, payloadOffset);
  const restored = packet.subarray(OSN_LENGTH);
  setRtpSequence(restored, sequence);
  setRtpSsrc(restored, ssrc);
  setRtpPayloadType(restored, payloadType);
  return restored;
}
