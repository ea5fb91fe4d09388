import { randomInt } from 'node:crypto';
import {
  RTP_FIXED_HEADER,
  rtpMarker,
  rtpSequence,
  rtpTimestamp,
  nextSequence,
  writeRtcpReport,
  writeRtpHeader,
} from '../../rtp/index.js';
import type { ClockReading } from '../../track.js';
import type { TrackFanout } from './fanout.js';
import { PacketScratch } from './scratch.js';

/** What the subscriber's answer says of this track's m-line. */
export interface DownlinkFormats {
  readonly retransmissions: boolean;
  readonly telephoneEvents: boolean;
}

/** A packet asked for again within this time has hardly had the time to arrive. */
const RETRANSMISSION_PAUSE_MS = 20;
/** Repeated packets for each second and track; a subscriber that wants more has a network that they would choke. */
const MAX_RETRANSMISSIONS_PER_SECOND = 500;
const OSN_LENGTH = 2;

const scratch = new PacketScratch();

/** One track as one subscriber receives it; silent until the subscriber has answered. */
export class Downlink {
  readonly fanout: TrackFanout;
  readonly #cname: string;
  readonly #send: (packet: Buffer) => boolean;
  #formats: DownlinkFormats | undefined;
  #packetCount = 0;
  #octetCount = 0;
  #rtxSequence = randomInt(0x10000);
  readonly #repeated = new Map<number, number>();
  #repeatedInSecond = 0;
  #secondStartedAt = 0;

  constructor(fanout: TrackFanout, cname: string, send: (packet: Buffer) => boolean) {
    this.fanout = fanout;
    this.#cname = cname;
    this.#send = send;
    fanout.add(this);
  }

  /** Whether the subscriber takes packets now. */
  get open(): boolean {
    return this.#formats !== undefined;
  }

  /** The subscriber has the m-line: packets may go. */
  start(formats: DownlinkFormats): void {
    const first = !this.open;
    this.#formats = formats;
    if (!first) return;
    this.fanout.track.requestKeyFrame();
    const { clock } = this.fanout;
    if (clock) this.report(clock);
  }

  close(): void {
    this.#formats = undefined;
    this.fanout.remove(this);
  }

  /** Sends a packet that is already rewritten. */
  forward(packet: Buffer, payloadLength: number, telephoneEvent: boolean): void {
    const formats = this.#formats;
    if (!formats || (telephoneEvent && !formats.telephoneEvents)) return;
    if (!this.#send(packet)) return;
    this.#packetCount += 1;
    this.#octetCount += payloadLength;
  }

  /** Tells the subscriber the publisher's clock, counted as our packets were sent. */
  report(clock: ClockReading): void {
    if (!this.open || this.#packetCount === 0) return;
    const sender = {
      ...clock,
      packetCount: this.#packetCount >>> 0,
      octetCount: this.#octetCount >>> 0,
    };
    this.#send(writeRtcpReport({ ssrc: this.fanout.ssrc, sender, blocks: [], cname: this.#cname }));
  }

  /** Repeats a packet that the subscriber reports lost (RFC 4588 where it takes that). */
  retransmit(sequence: number, nowMs: number): void {
    const formats = this.#formats;
    if (!formats || !this.#mayRepeat(sequence, nowMs)) return;
    const packet = this.fanout.packet(sequence);
    if (!packet) return;
    this.#send(formats.retransmissions ? this.#asRetransmission(packet) : packet);
  }

  #mayRepeat(sequence: number, nowMs: number): boolean {
    if (nowMs - this.#secondStartedAt >= 1000) {
      this.#secondStartedAt = nowMs;
      this.#repeatedInSecond = 0;
      this.#repeated.clear();
    }
    const before = this.#repeated.get(sequence);
    if (before !== undefined && nowMs - before < RETRANSMISSION_PAUSE_MS) return false;
    if (this.#repeatedInSecond >= MAX_RETRANSMISSIONS_PER_SECOND) return false;
    this.#repeatedInSecond += 1;
    this.#repeated.set(sequence, nowMs);
    return true;
  }

  #asRetransmission(packet: Buffer): Buffer {
    const copy = scratch.view(packet.length + OSN_LENGTH);
    const sequence = rtpSequence(packet);
    const { codec, rtxSsrc } = this.fanout;
    this.#rtxSequence = nextSequence(this.#rtxSequence);
    writeRtpHeader(
      copy,
      codec.rtxPayloadType ?? codec.payloadType,
      rtpMarker(packet),
      this.#rtxSequence,
      rtpTimestamp(packet),
      rtxSsrc,
    );
    copy.writeUInt16BE(sequence, RTP_FIXED_HEADER);
    packet.copy(copy, RTP_FIXED_HEADER + OSN_LENGTH, RTP_FIXED_HEADER);
    return copy;
  }
}
