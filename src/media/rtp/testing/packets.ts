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

/** An RTCP extended report (RFC 3611) with these blocks. */
export function extendedReport(...blocks: readonly Buffer[]): Buffer {
  const contents = Buffer.concat(blocks);
  const header = Buffer.alloc(8);
  header[0] = 0x80;
  header[1] = 207;
  header.writeUInt16BE(1 + contents.length / 4, 2);
  return Buffer.concat([header, contents]);
}

/** A block of VoIP metrics; rates in 1/256. */
export function voipMetricsBlock({ ssrc = 0, loss = 0, discard = 0, roundTripMs = 0 }): Buffer {
  const block = Buffer.alloc(36);
  block[0] = 7;
  block.writeUInt16BE(8, 2);
  block.writeUInt32BE(ssrc, 4);
  block[8] = loss;
  block[9] = discard;
  block.writeUInt16BE(roundTripMs, 16);
  return block;
}
