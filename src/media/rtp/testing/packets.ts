import { writeRtpHeader } from '../header.js';

/** A whole RTP packet of a test. */
export function rtpPacket(fields: {
  sequence: number;
  timestamp: number;
  payload?: Uint8Array;
  payloadType?: number;
  ssrc?: number;
  marker?: boolean;
}): Buffer {
  const payload = fields.payload ?? new Uint8Array(160).fill(0xff);
  const packet = Buffer.alloc(12 + payload.length);
  writeRtpHeader(
    packet,
    fields.payloadType ?? 0,
    fields.marker ?? false,
    fields.sequence & 0xffff,
    fields.timestamp >>> 0,
    fields.ssrc ?? 1,
  );
  packet.set(payload, 12);
  return packet;
}
