import { findAudioCodec } from '../../codecs/index.js';
import { ReceiverReports, SentNumbers, type StreamFigures } from '../../quality/index.js';
import {
  firstSequence,
  nextSequence,
  ntpMiddle,
  PacketScratch,
  type ReportBlock,
  RTP_FIXED_HEADER,
  rtpMarker,
  rtpSequence,
  rtpTimestamp,
  setRtpSequence,
  type VoipMetrics,
  writeRtcpReport,
  writeRtpHeader,
} from '../../rtp/index.js';
import type { ClockReading } from '../../track.js';
import type { TrackFanout } from './fanout.js';
import { StillReplay } from './still-replay.js';

/**
 * Id, in our offers, of the absolute send time header extension (webrtc.org/experiments/rtp-hdrext/abs-send-time).
 * From it a subscriber estimates the bit rate of its network, which it reports by REMB.
 */
export const SEND_TIME_ID = 3;

/** Length in bytes of the extension block. */
export const SEND_TIME_BLOCK = 8;

const HAS_EXTENSION = 0x10;

const UNITS_PER_MS = 2 ** 18 / 1000;

/** What the subscriber's answer accepts for this track's m-line. */
interface DownlinkFormats {
  readonly retransmissions: boolean;
  readonly telephoneEvents: boolean;
}

/** The way to a subscriber. */
export interface SubscriberLink {
  /** Whether packets go out now. */
  readonly isConnected: boolean;
  /** Sends a copy. @returns whether it went out */
  send(packet: Buffer): boolean;
}

interface DownlinkOptions {
  readonly cname: string;
  readonly link: SubscriberLink;
  readonly bandwidth?: DownlinkBandwidth;
}

/** A packet that was repeated less than this ago may still be on its way. */
const RETRANSMISSION_PAUSE_MS = 20;
/** Most repeated packets per second and track: more would choke a network that loses so many. */
const MAX_RETRANSMISSIONS_PER_SECOND = 500;
const OSN_LENGTH = 2;

/** How much of a video the subscriber's network carries. */
interface DownlinkBandwidth {
  /** Bits per second. */
  readonly limit: number;
  readonly thinned: boolean;
  /** It loses packets, but not so many that it is congested. */
  readonly lossy: boolean;
  onSent(bytes: number): void;
  /** Whether there is room to repeat this many bytes; if so, reserves it. */
  mayRepeat(bytes: number): boolean;
}

const scratch = new PacketScratch();

/** One track as one subscriber receives it; silent until the subscriber has answered. */
export class Downlink {
  readonly fanout: TrackFanout;
  readonly #cname: string;
  readonly #link: SubscriberLink;
  /** Absent for audio, which is never limited. */
  readonly #bandwidth: DownlinkBandwidth | undefined;
  /** Something was left out: nothing decodes before the next key frame. */
  #needsKeyFrame = false;
  #formats: DownlinkFormats | undefined;
  readonly #replay: StillReplay;
  /** Absent for video. */
  readonly #reports: ReceiverReports | undefined;
  #packetCount = 0;
  #octetCount = 0;
  /** Absent for video. */
  readonly #numbers: SentNumbers | undefined;
  #rtxSequence = firstSequence();
  readonly #repeated = new Map<number, number>();
  #repeatedInSecond = 0;
  #secondStartedAt = 0;

  constructor(fanout: TrackFanout, options: DownlinkOptions) {
    this.fanout = fanout;
    this.#cname = options.cname;
    this.#link = options.link;
    this.#bandwidth = fanout.track.kind === 'video' ? options.bandwidth : undefined;
    this.#reports = fanout.track.kind === 'audio' ? new ReceiverReports() : undefined;
    this.#numbers = this.#reports && new SentNumbers();
    this.#replay = new StillReplay({
      fanout,
      started: () => this.#packetCount > 0,
      send: (packet, isKey) => {
        if (isKey) this.#needsKeyFrame = this.#bandwidth?.thinned === true;
        // Not counted for the bandwidth: the publisher cannot change the rate of a replay.
        return this.#count(this.#link.send(packet), packet.length - fanout.headerLength);
      },
    });
    fanout.add(this);
  }

  /** Whether the subscriber takes packets now. */
  get open(): boolean {
    return this.#formats !== undefined;
  }

  /** Whether packets reach the subscriber: it has accepted the m-line, and its transport is connected. */
  get isReady(): boolean {
    return this.open && this.#link.isConnected;
  }

  /** Whether the subscriber is to get every packet. */
  get full(): boolean {
    return this.open && this.#bandwidth?.thinned !== true;
  }

  /** Bits per second that its network carries; Infinity: more than it is sent. */
  get limit(): number {
    return this.#bandwidth?.limit ?? Infinity;
  }

  /** The subscriber has accepted the m-line: packets may be sent. */
  start(formats: DownlinkFormats): void {
    const first = !this.open;
    this.#formats = formats;
    if (!first) return;
    this.wantPicture();
    const { clock } = this.fanout;
    if (clock) this.report(clock);
  }

  /** Nothing decodes before the next key frame. */
  wantPicture(): void {
    if (!this.open || this.fanout.track.kind !== 'video') return;
    this.fanout.track.requestKeyFrame();
    this.#replay.keyFrameRequested();
  }

  close(): void {
    this.#formats = undefined;
    this.#replay.stop();
    this.fanout.remove(this);
  }

  /** Sends a packet that is already rewritten. @param inKeyFrame it is part of a key frame */
  forward(packet: Buffer, payloadLength: number, telephoneEvent: boolean, inKeyFrame: boolean): void {
    const formats = this.#formats;
    if (!formats || (telephoneEvent && !formats.telephoneEvents)) return;
    if (!this.#replay.makesWay(rtpSequence(packet))) return;
    if (this.#bandwidth && !this.#mayPass(this.#bandwidth, inKeyFrame)) return;
    if (!this.#count(this.#sendShifted(packet), payloadLength)) return;
    this.#bandwidth?.onSent(packet.length);
    this.#numbers?.add(rtpSequence(packet));
  }

  #count(sent: boolean, payloadLength: number): boolean {
    if (!sent) return false;
    this.#packetCount += 1;
    this.#octetCount += payloadLength;
    return true;
  }

  /** All subscribers share the packet: its sequence number is restored after sending. */
  #sendShifted(packet: Buffer): boolean {
    const { shift } = this.#replay;
    if (shift === 0) return this.#link.send(packet);
    const sequence = rtpSequence(packet);
    setRtpSequence(packet, sequence + shift);
    const sent = this.#link.send(packet);
    setRtpSequence(packet, sequence);
    return sent;
  }

  /** Sends the subscriber a report of the publisher's clock and of the packets that we sent. */
  report(clock: ClockReading): void {
    if (!this.open || this.#packetCount === 0) return;
    const sender = {
      ...clock,
      packetCount: this.#packetCount >>> 0,
      octetCount: this.#octetCount >>> 0,
    };
    this.#reports?.onSent(
      ntpMiddle({ seconds: clock.ntpSeconds, fraction: clock.ntpFraction }),
      performance.now(),
    );
    this.#link.send(writeRtcpReport({ ssrc: this.fanout.ssrc, sender, blocks: [], cname: this.#cname }));
  }

  /** Takes what the subscriber reports of an audio track. @returns false when something in it cannot be true */
  onReport(reporter: number, block: ReportBlock): boolean {
    const stream = {
      packets: this.#packetCount,
      clockRate: this.fanout.codec.clockRate,
      ...this.#numbers?.until(block.highestSequence),
    };
    return this.#reports?.onBlock(reporter, block, stream, performance.now()) ?? true;
  }

  /** @returns false when something in it cannot be true */
  onVoipMetrics(metrics: VoipMetrics): boolean {
    return this.#reports?.onVoipMetrics(metrics, this.#packetCount) ?? true;
  }

  /** What was sent of an audio track, and how it came. */
  get figures(): StreamFigures {
    const { name, clockRate } = this.fanout.codec;
    return {
      ...(this.#reports?.figures(this.#packetCount) ?? { packets: this.#packetCount }),
      codec: findAudioCodec(name, clockRate)?.speechImpairment,
    };
  }

  /** Repeats a packet that the subscriber reports lost (by RFC 4588 if it supports that). */
  retransmit(sequence: number, nowMs: number): void {
    const formats = this.#formats;
    // Packets that were left out on purpose must not be repeated.
    if (!formats || this.#needsKeyFrame || !this.#mayRepeat(sequence, nowMs)) return;
    const replayed = this.#replay.packet(sequence);
    const packet = replayed ?? this.fanout.packet((sequence - this.#replay.shift) & 0xffff);
    if (!packet) return;
    this.#repeat(formats, packet, sequence);
    // Twice: a browser that does not know the round trip asks again only after 100 ms, and the picture would
    // freeze.
    if (this.#bandwidth?.lossy === true) this.#repeat(formats, packet, sequence);
  }

  #repeat(formats: DownlinkFormats, packet: Buffer, sequence: number): void {
    if (this.#bandwidth?.mayRepeat(packet.length) === false) return;
    if (formats.retransmissions) {
      this.#link.send(this.#asRetransmission(packet, sequence));
      return;
    }
    const before = rtpSequence(packet);
    setRtpSequence(packet, sequence);
    this.#link.send(packet);
    setRtpSequence(packet, before);
  }

  #mayPass(bandwidth: DownlinkBandwidth, inKeyFrame: boolean): boolean {
    if (inKeyFrame) {
      this.#needsKeyFrame = bandwidth.thinned;
      return true;
    }
    if (bandwidth.thinned) this.#needsKeyFrame = true;
    else if (this.#needsKeyFrame) this.fanout.track.requestKeyFrame();
    return !this.#needsKeyFrame;
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

  #asRetransmission(packet: Buffer, original: number): Buffer {
    const { headerLength } = this.fanout;
    const copy = scratch.view(RTP_FIXED_HEADER + OSN_LENGTH + packet.length - headerLength);
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
    copy.writeUInt16BE(original, RTP_FIXED_HEADER);
    packet.copy(copy, RTP_FIXED_HEADER + OSN_LENGTH, headerLength);
    return copy;
  }
}

/** Writes the extension behind the fixed header of a packet, which must have room for it. */
export function writeSendTime(packet: Buffer, nowMs: number): void {
  packet[0] = packet[0]! | HAS_EXTENSION;
  packet.writeUInt32BE(0xbede0001, RTP_FIXED_HEADER);
  // One element of three bytes: the id, and the length minus one.
  packet[RTP_FIXED_HEADER + 4] = (SEND_TIME_ID << 4) | 2;
  packet.writeUIntBE(Math.floor(nowMs * UNITS_PER_MS) % 0x1000000, RTP_FIXED_HEADER + 5, 3);
}
