import { RTCP_SENDER_REPORT, RtcpCursor, readSenderInfo, toNtp, writeRtcpReport } from '../rtp/index.js';
import type { ReceptionStatistics, SenderInfo } from '../rtp/index.js';

/** RFC 3550 section 6.2 recommends 5 s at least; two peers need no randomisation against floods. */
const INTERVAL_MS = 5000;

/** Counters of the stream that we send, and of the one that we receive. */
export interface RtcpSource {
  readonly ssrc: number;
  readonly packets: number;
  readonly octets: number;
  /** Undefined until the phone has been heard. */
  readonly reception: ReceptionStatistics | undefined;
}

/** Sends our reports when they are due, and reads the phone's. */
export class RtcpSession {
  readonly #cname: string;
  readonly #send: (packet: Buffer) => void;
  readonly #cursor = new RtcpCursor();
  #lastAt = -Infinity;
  #reportedPackets = 0;

  constructor(cname: string, send: (packet: Buffer) => void) {
    this.#cname = cname;
    this.#send = send;
  }

  onPacket(packet: Buffer, reception: ReceptionStatistics | undefined, nowMs: number): void {
    this.#cursor.open(packet);
    while (this.#cursor.next()) {
      if (this.#cursor.type !== RTCP_SENDER_REPORT) continue;
      const info = readSenderInfo(packet, this.#cursor);
      if (info) reception?.onSenderReport(info, nowMs);
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

  #report(source: RtcpSource, rtpTimestamp: number, nowMs: number, bye: boolean): void {
    // Without packets since the last report this is a receiver report (RFC 3550 section 6.4).
    const sends = source.packets > this.#reportedPackets;
    this.#reportedPackets = source.packets;
    this.#send(
      writeRtcpReport({
        ssrc: source.ssrc,
        ...(sends ? { sender: senderInfo(source, rtpTimestamp) } : {}),
        blocks: source.reception ? [source.reception.report(nowMs)] : [],
        cname: this.#cname,
        bye,
      }),
    );
  }
}

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
