/**
 * The absolute send time header extension (webrtc.org/experiments/rtp-hdrext/abs-send-time): by it a subscriber
 * finds the bit rate that its network takes, and tells us by REMB.
 */
import { RTP_FIXED_HEADER } from '../../rtp/index.js';

/** Its id in our offers. */
export const SEND_TIME_ID = 3;
/** Length in bytes of the extension block. */
export const SEND_TIME_BLOCK = 8;

const HAS_EXTENSION = 0x10;
const UNITS_PER_MS = 2 ** 18 / 1000;

/** Puts the block behind the fixed header of a packet that has room for it there. */
export function writeSendTime(packet: Buffer, nowMs: number): void {
  packet[0] = packet[0]! | HAS_EXTENSION;
  packet.writeUInt32BE(0xbede0001, RTP_FIXED_HEADER);
  // One element of three bytes: the id, and the length minus one.
  packet[RTP_FIXED_HEADER + 4] = (SEND_TIME_ID << 4) | 2;
  packet.writeUIntBE(Math.floor(nowMs * UNITS_PER_MS) % 0x1000000, RTP_FIXED_HEADER + 5, 3);
}
