import { RtcpCursor } from '../../rtp/index.js';

/** Types of the packets in a compound. */
export function readRtcpTypes(packet: Buffer): number[] {
  const cursor = new RtcpCursor();
  const types: number[] = [];
  cursor.open(packet);
  while (cursor.next()) types.push(cursor.type);
  return types;
}
