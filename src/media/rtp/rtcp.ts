/** RTCP packets (RFC 3550 section 6): walking a compound packet, reading and writing reports, SDES and BYE. */
import { readUint32, RTP_VERSION, SequenceUnwrapper, writeUint32 } from './header.js';

/** NTP timestamps as RTCP carries them (RFC 3550 section 4). */

/** Seconds from 1900, where NTP counts from, to 1970. */
const NTP_EPOCH = 2_208_988_800;

/** RTCP packet types (RFC 3550 section 12.1, RFC 4585 section 6.1). */
export const RTCP_SENDER_REPORT = 200;
export const RTCP_RECEIVER_REPORT = 201;
export const RTCP_SOURCE_DESCRIPTION = 202;
export const RTCP_BYE = 203;
export const RTCP_TRANSPORT_FEEDBACK = 205;
export const RTCP_PAYLOAD_FEEDBACK = 206;
/** RFC 3611 section 6. */
export const RTCP_EXTENDED_REPORT = 207;

const HEADER = 4;
const REPORT_BLOCK = 24;
const SENDER_INFO = 20;
const MAX_REPORT_BLOCKS = 31;
const SDES_CNAME = 1;

/**
 * Iterates over the packets of a compound RTCP packet, also a reduced-size one (RFC 5506). It is made once and opened for
 * each datagram. It stops at the first packet with a wrong length.
 */
export class RtcpCursor {
  /** RTCP packet type, 192 to 223. */
  type = 0;
  /** Report count, source count or feedback format: the low five bits of the first byte. */
  count = 0;
  /** Index of the first byte after the 4-byte header: the sender's SSRC, where the type has one. */
  start = 0;
  /** Index after the last byte, padding excluded. */
  end = 0;
  #packet: Uint8Array = new Uint8Array(0);
  #next = 0;

  open(packet: Uint8Array): void {
    this.#packet = packet;
    this.#next = 0;
  }

  next(): boolean {
    const packet = this.#packet;
    const at = this.#next;
    if (at + HEADER > packet.length || packet[at]! >> 6 !== RTP_VERSION) return false;
    const next = at + HEADER + 4 * ((packet[at + 2]! << 8) | packet[at + 3]!);
    if (next > packet.length) return false;
    const padding = (packet[at]! & 0x20) !== 0 ? packet[next - 1]! : 0;
    if (next - padding < at + HEADER) return false;
    this.type = packet[at + 1]!;
    this.count = packet[at]! & 0x1f;
    this.start = at + HEADER;
    this.end = next - padding;
    this.#next = next;
    return true;
  }
}

/** The sender's part of an SR (RFC 3550 section 6.4.1). */
export interface SenderInfo {
  /** Seconds and fraction (in 2^-32 s) of the NTP time. */
  readonly ntpSeconds: number;
  readonly ntpFraction: number;
  readonly rtpTimestamp: number;
  readonly packetCount: number;
  readonly octetCount: number;
}

/** A report block of an SR or RR (RFC 3550 section 6.4.1). */
export interface ReportBlock {
  readonly ssrc: number;
  /** In 1/256. */
  readonly fractionLost: number;
  /** Cumulative, signed: duplicates make it negative. */
  readonly packetsLost: number;
  readonly highestSequence: number;
  /** In timestamp units. */
  readonly jitter: number;
  /** Middle 32 bits of the NTP time of the last SR; 0: none came. */
  readonly lastSenderReport: number;
  /** In 1/65536 s. */
  readonly delaySinceLastSenderReport: number;
}

/** @returns the sender info of the SR at the cursor; undefined if it is too short */
export function readSenderInfo(packet: Uint8Array, cursor: RtcpCursor): SenderInfo | undefined {
  const at = cursor.start + 4;
  if (at + SENDER_INFO > cursor.end) return undefined;
  return {
    ntpSeconds: readUint32(packet, at),
    ntpFraction: readUint32(packet, at + 4),
    rtpTimestamp: readUint32(packet, at + 8),
    packetCount: readUint32(packet, at + 12),
    octetCount: readUint32(packet, at + 16),
  };
}

/** @returns the report blocks of the SR or RR at the cursor, as many as are really there */
export function readReportBlocks(packet: Uint8Array, cursor: RtcpCursor): ReportBlock[] {
  const blocks: ReportBlock[] = [];
  let at = cursor.start + 4 + (cursor.type === RTCP_SENDER_REPORT ? SENDER_INFO : 0);
  for (let i = 0; i < cursor.count && at + REPORT_BLOCK <= cursor.end; i += 1, at += REPORT_BLOCK) {
    blocks.push({
      ssrc: readUint32(packet, at),
      fractionLost: packet[at + 4]!,
      packetsLost: (readUint32(packet, at + 4) << 8) >> 8,
      highestSequence: readUint32(packet, at + 8),
      jitter: readUint32(packet, at + 12),
      lastSenderReport: readUint32(packet, at + 16),
      delaySinceLastSenderReport: readUint32(packet, at + 20),
    });
  }
  return blocks;
}

/** @returns the SSRCs of the BYE at the cursor */
export function readByeSources(packet: Uint8Array, cursor: RtcpCursor): number[] {
  const sources: number[] = [];
  for (let i = 0, at = cursor.start; i < cursor.count && at + 4 <= cursor.end; i += 1, at += 4) {
    sources.push(readUint32(packet, at));
  }
  return sources;
}

/** What `writeRtcpReport` puts into one compound packet. */
interface RtcpReport {
  readonly ssrc: number;
  /** If present, an SR is written, otherwise an RR. */
  readonly sender?: SenderInfo;
  /** At most 31 are written. */
  readonly blocks: readonly ReportBlock[];
  /** Canonical name, at most 255 bytes of UTF-8. */
  readonly cname: string;
  /** Whether a BYE follows. */
  readonly bye?: boolean;
}

/** Writes a compound packet: SR or RR, SDES with the CNAME, and BYE if requested (RFC 3550 section 6.1). */
export function writeRtcpReport(report: RtcpReport): Buffer {
  const blocks = report.blocks.slice(0, MAX_REPORT_BLOCKS);
  const cname = Buffer.from(report.cname).subarray(0, 255);
  const reportLength = HEADER + 4 + (report.sender ? SENDER_INFO : 0) + REPORT_BLOCK * blocks.length;
  // The item list ends with at least one zero byte and on a 32-bit boundary (section 6.5).
  const chunkLength = 4 * (Math.floor((4 + 2 + cname.length) / 4) + 1);
  const sdesLength = HEADER + chunkLength;
  const byeLength = report.bye === true ? HEADER + 4 : 0;
  const packet = Buffer.alloc(reportLength + sdesLength + byeLength);

  const type = report.sender ? RTCP_SENDER_REPORT : RTCP_RECEIVER_REPORT;
  writeRtcpHeader(packet, 0, blocks.length, type, reportLength);
  writeUint32(packet, HEADER, report.ssrc);
  let at = HEADER + 4;
  if (report.sender) at = writeSenderInfo(packet, at, report.sender);
  for (const block of blocks) at = writeReportBlock(packet, at, block);

  writeRtcpHeader(packet, at, 1, RTCP_SOURCE_DESCRIPTION, sdesLength);
  writeUint32(packet, at + HEADER, report.ssrc);
  packet[at + HEADER + 4] = SDES_CNAME;
  packet[at + HEADER + 5] = cname.length;
  cname.copy(packet, at + HEADER + 6);

  if (byeLength > 0) {
    writeRtcpHeader(packet, at + sdesLength, 1, RTCP_BYE, byeLength);
    writeUint32(packet, at + sdesLength + HEADER, report.ssrc);
  }
  return packet;
}

/** @param length of the whole packet in bytes, a multiple of four */
export function writeRtcpHeader(
  packet: Uint8Array,
  at: number,
  count: number,
  type: number,
  length: number,
): void {
  packet[at] = (RTP_VERSION << 6) | count;
  packet[at + 1] = type;
  const words = length / 4 - 1;
  packet[at + 2] = words >>> 8;
  packet[at + 3] = words;
}

function writeSenderInfo(packet: Uint8Array, at: number, sender: SenderInfo): number {
  writeUint32(packet, at, sender.ntpSeconds);
  writeUint32(packet, at + 4, sender.ntpFraction);
  writeUint32(packet, at + 8, sender.rtpTimestamp);
  writeUint32(packet, at + 12, sender.packetCount);
  writeUint32(packet, at + 16, sender.octetCount);
  return at + SENDER_INFO;
}

function writeReportBlock(packet: Uint8Array, at: number, block: ReportBlock): number {
  const lost = Math.max(-0x800000, Math.min(0x7fffff, block.packetsLost));
  writeUint32(packet, at, block.ssrc);
  writeUint32(packet, at + 4, (block.fractionLost << 24) | (lost & 0xffffff));
  writeUint32(packet, at + 8, block.highestSequence);
  writeUint32(packet, at + 12, block.jitter);
  writeUint32(packet, at + 16, block.lastSenderReport);
  writeUint32(packet, at + 20, block.delaySinceLastSenderReport);
  return at + REPORT_BLOCK;
}

/** An NTP timestamp. */
interface NtpTime {
  readonly seconds: number;
  /** In 2^-32 s. */
  readonly fraction: number;
}

/** @param unixMs milliseconds since 1970, fractions allowed */
export function toNtp(unixMs: number): NtpTime {
  const seconds = Math.floor(unixMs / 1000);
  const fraction = Math.floor((unixMs / 1000 - seconds) * 2 ** 32);
  return { seconds: (seconds + NTP_EPOCH) >>> 0, fraction: fraction >>> 0 };
}

/** The middle 32 bits, in 1/65536 s: LSR and the base of DLSR. */
export function ntpMiddle(time: NtpTime): number {
  return ((time.seconds << 16) | (time.fraction >>> 16)) >>> 0;
}

/** Loss and jitter of one SSRC, for receiver reports (RFC 3550 appendices A.3 and A.8). */
export class ReceptionStatistics {
  readonly #ssrc: number;
  readonly #clockRate: number;
  readonly #sequence = new SequenceUnwrapper();
  #first = -1;
  #highest = -1;
  #received = 0;
  #expectedBefore = 0;
  #receivedBefore = 0;
  #lastTransit = Number.NaN;
  #lastTimestamp = Number.NaN;
  #jitter = 0;
  #lastReport = 0;
  #lastReportAt = 0;

  constructor(ssrc: number, clockRate: number) {
    this.#ssrc = ssrc;
    this.#clockRate = clockRate;
  }

  get packets(): number {
    return this.#received;
  }

  get packetsLost(): number {
    return Math.max(0, this.#expected() - this.#received);
  }

  get jitterMs(): number {
    return (this.#jitter * 1000) / this.#clockRate;
  }

  /** @param arrivalMs monotonic */
  onPacket(sequence: number, timestamp: number, arrivalMs: number): void {
    const extended = this.#sequence.unwrap(sequence);
    if (this.#first < 0) this.#first = extended;
    if (extended > this.#highest) this.#highest = extended;
    this.#received += 1;
    // Packets of one timestamp, such as a picture's and those that only probe the network, are not sent at once.
    if (timestamp === this.#lastTimestamp) return;
    this.#lastTimestamp = timestamp;
    const transit = (arrivalMs * this.#clockRate) / 1000 - timestamp;
    const change = Math.abs(transit - this.#lastTransit);
    this.#lastTransit = transit;
    // The first packet cannot be compared with another; a wrap or jump of timestamps is not jitter.
    if (change < this.#clockRate * 10) this.#jitter += (change - this.#jitter) / 16;
  }

  onSenderReport(info: SenderInfo, arrivalMs: number): void {
    this.#lastReport = ntpMiddle({ seconds: info.ntpSeconds, fraction: info.ntpFraction });
    this.#lastReportAt = arrivalMs;
  }

  /** The block for the next report. Begins a new interval for the fraction lost. */
  report(nowMs: number): ReportBlock {
    const expected = this.#expected();
    const expectedInterval = expected - this.#expectedBefore;
    const lostInterval = expectedInterval - (this.#received - this.#receivedBefore);
    this.#expectedBefore = expected;
    this.#receivedBefore = this.#received;
    return {
      ssrc: this.#ssrc,
      fractionLost:
        expectedInterval <= 0 || lostInterval <= 0 ? 0 : Math.floor((lostInterval * 256) / expectedInterval),
      packetsLost: expected - this.#received,
      highestSequence: Math.max(0, this.#highest - 0x10000) >>> 0,
      jitter: Math.floor(this.#jitter),
      lastSenderReport: this.#lastReport,
      delaySinceLastSenderReport:
        this.#lastReport === 0 ? 0 : Math.round(((nowMs - this.#lastReportAt) * 65536) / 1000),
    };
  }

  #expected(): number {
    return this.#first < 0 ? 0 : this.#highest - this.#first + 1;
  }
}
