import { ReceiverReports } from '../quality/index.js';
import {
  ntpMiddle,
  readReportBlocks,
  readSenderInfo,
  readUint32,
  readVoipMetrics,
  RTCP_EXTENDED_REPORT,
  RTCP_RECEIVER_REPORT,
  RTCP_SENDER_REPORT,
  RtcpCursor,
  sequenceDelta,
  toNtp,
  writeRtcpReport,
} from '../rtp/index.js';
import type { ReceptionStatistics, SenderInfo } from '../rtp/index.js';

/** RFC 3550 section 6.2 recommends 5 s at least; two peers need no randomisation against floods. */
const INTERVAL_MS = 5000;

/** Counters of the stream that we send, and of the one that we receive. */
export interface RtcpSource {
  readonly ssrc: number;
  readonly packets: number;
  readonly octets: number;
  /** Sequence number of the last packet. */
  readonly newest: number;
  /** Of the RTP timestamps that we send. */
  readonly clockRate: number;
  /** Undefined until the phone has been heard. */
  readonly reception: ReceptionStatistics | undefined;
}

/** Sends our reports when they are due, and reads the phone's. */
export class RtcpSession {
  readonly #cname: string;
  readonly #send: (packet: Buffer) => void;
  readonly #cursor = new RtcpCursor();
  /** What the phone says of our stream. */
  readonly reports = new ReceiverReports();
  /** Reports that could not be true, or were not as long as they said. */
  ignored = 0;
  #lastAt = -Infinity;
  #reportedPackets = 0;

  constructor(cname: string, send: (packet: Buffer) => void) {
    this.#cname = cname;
    this.#send = send;
  }

  onPacket(packet: Buffer, source: RtcpSource, nowMs: number): void {
    this.#cursor.open(packet);
    while (this.#cursor.next()) {
      switch (this.#cursor.type) {
        case RTCP_SENDER_REPORT: {
          const info = readSenderInfo(packet, this.#cursor);
          if (info) source.reception?.onSenderReport(info, nowMs);
          this.#onReport(packet, source, nowMs);
          break;
        }
        case RTCP_RECEIVER_REPORT:
          this.#onReport(packet, source, nowMs);
          break;
        case RTCP_EXTENDED_REPORT:
          this.#onExtendedReport(packet, source);
          break;
        default:
      }
    }
  }

  /** @param rtpTimestamp of this moment in the stream that we send */
  onTime(source: RtcpSource, rtpTimestamp: number, nowMs: number): void {
    if (nowMs - this.#lastAt < INTERVAL_MS) return;
    this.#lastAt = nowMs;
    this.#report(source, rtpTimestamp, nowMs, false);
  }

  /** Sends a last report with a BYE (RFC 3550 section 6.6). */
  bye(source: RtcpSource, rtpTimestamp: number, nowMs: number): void {
    this.#report(source, rtpTimestamp, nowMs, true);
  }

  #onReport(packet: Buffer, source: RtcpSource, nowMs: number): void {
    for (const block of readReportBlocks(packet, this.#cursor)) {
      if (block.ssrc !== source.ssrc) continue;
      const reporter = readUint32(packet, this.#cursor.start);
      const ahead = sequenceDelta(source.newest, block.highestSequence & 0xffff);
      const reached = source.packets - (ahead > 0 && ahead < source.packets ? ahead : 0);
      if (!this.reports.onBlock(reporter, block, { ...source, reached }, nowMs)) this.ignored += 1;
    }
  }

  #onExtendedReport(packet: Buffer, source: RtcpSource): void {
    const isWhole = readVoipMetrics(packet, this.#cursor, (metrics) => {
      if (metrics.ssrc !== source.ssrc) return;
      if (!this.reports.onVoipMetrics(metrics, source.packets)) this.ignored += 1;
    });
    if (!isWhole) this.ignored += 1;
  }

  #report(source: RtcpSource, rtpTimestamp: number, nowMs: number, bye: boolean): void {
    // Without packets since the last report this is a receiver report (RFC 3550 section 6.4).
    const sends = source.packets > this.#reportedPackets;
    this.#reportedPackets = source.packets;
    const sender = sends ? senderInfo(source, rtpTimestamp) : undefined;
    if (sender) this.reports.onSent(middleOf(sender), nowMs);
    this.#send(
      writeRtcpReport({
        ssrc: source.ssrc,
        ...(sender && { sender }),
        blocks: source.reception ? [source.reception.report(nowMs)] : [],
        cname: this.#cname,
        bye,
      }),
    );
  }
}

const middleOf = ({ ntpSeconds, ntpFraction }: SenderInfo): number =>
  ntpMiddle({ seconds: ntpSeconds, fraction: ntpFraction });

function senderInfo(source: RtcpSource, rtpTimestamp: number): SenderInfo {
  const ntp = toNtp(performance.timeOrigin + performance.now());
  return {
    ntpSeconds: ntp.seconds,
    ntpFraction: ntp.fraction,
    rtpTimestamp,
    packetCount: source.packets,
    octetCount: source.octets,
  };
}
