/** Which video packets begin a key frame, by the payload formats' own headers; nothing is decoded. */

/** Whether a packet begins a picture that decodes without any other before it. */
export function beginsKeyFrame(codec: string, packet: Buffer, from: number, to: number): boolean {
  if (from >= to) return false;
  switch (codec) {
    case 'VP8':
      return beginsVp8(packet, from, to);
    case 'VP9':
      return beginsVp9(packet, from);
    case 'H264':
      return beginsH264(packet, from, to);
    case 'AV1':
      // N bit: first packet of a coded video sequence (AV1 RTP payload format, section 4.4).
      return (packet[from]! & 0x08) !== 0;
    default:
      return false;
  }
}

/** RFC 7741 section 4.2: descriptor, extensions, then the inverse key frame flag of the payload header. */
function beginsVp8(packet: Buffer, from: number, to: number): boolean {
  const first = packet[from]!;
  const startsFirstPartition = (first & 0x10) !== 0 && (first & 0x07) === 0;
  if (!startsFirstPartition) return false;
  let at = from + 1;
  if ((first & 0x80) !== 0) {
    const extensions = packet[at] ?? 0;
    at += 1;
    if ((extensions & 0x80) !== 0) at += ((packet[at] ?? 0) & 0x80) !== 0 ? 2 : 1;
    if ((extensions & 0x40) !== 0) at += 1;
    if ((extensions & 0x30) !== 0) at += 1;
  }
  return at < to && (packet[at]! & 0x01) === 0;
}

/** RFC 9628 section 4.2: start of a frame (B) that is not predicted from another picture (P). */
function beginsVp9(packet: Buffer, from: number): boolean {
  const first = packet[from]!;
  return (first & 0x08) !== 0 && (first & 0x40) === 0;
}

const NAL_IDR = 5;
const NAL_SPS = 7;
const STAP_A = 24;
const FU_A = 28;

/** RFC 6184 section 5: an IDR slice or the parameter sets before it, alone, in an aggregate or in a first fragment. */
function beginsH264(packet: Buffer, from: number, to: number): boolean {
  const type = packet[from]! & 0x1f;
  if (type === FU_A) {
    const header = from + 1 < to ? packet[from + 1]! : 0;
    return (header & 0x80) !== 0 && isKeyUnit(header & 0x1f);
  }
  if (type !== STAP_A) return isKeyUnit(type);
  for (let at = from + 1; at + 2 < to;) {
    if (isKeyUnit(packet[at + 2]! & 0x1f)) return true;
    at += 2 + packet.readUInt16BE(at);
  }
  return false;
}

const isKeyUnit = (type: number): boolean => type === NAL_IDR || type === NAL_SPS;
