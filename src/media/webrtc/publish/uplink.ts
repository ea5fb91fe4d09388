import {
  ReceptionStatistics,
  rtpPayloadEnd,
  rtpPayloadType,
  rtpSequence,
  rtpSsrc,
  rtpTimestamp,
  writePli,
} from '../../rtp/index.js';
import type { ReportBlock, SenderInfo } from '../../rtp/index.js';
import { PublishedTrack } from '../../track.js';
import type { AcceptedMedia } from '../sdp/publish-answer.js';
import { KeyFrameRequests } from './key-frame-requests.js';

export interface UplinkOptions {
  readonly media: AcceptedMedia;
  readonly streamId: string;
  /** SSRC that our RTCP goes out under. */
  readonly localSsrc: number;
  readonly send: (packet: Buffer) => void;
}

/** One m-line on which a browser publishes: its packets become those of a published track. */
export class Uplink {
  readonly track: PublishedTrack;
  readonly #options: UplinkOptions;
  readonly #keyFrames: KeyFrameRequests;
  #media: AcceptedMedia;
  #ssrc = -1;
  #reception: ReceptionStatistics | undefined;

  constructor(options: UplinkOptions) {
    this.#options = options;
    this.#media = options.media;
    this.#keyFrames = new KeyFrameRequests(() => this.#requestKeyFrame());
    const { section, codec } = options.media;
    this.track = new PublishedTrack({
      kind: section.kind,
      streamId: options.streamId,
      codec: {
        name: codec.name,
        clockRate: codec.clockRate,
        channels: codec.channels,
        ...(codec.fmtp === undefined ? {} : { fmtp: codec.fmtp }),
      },
      requestKeyFrame: () => this.#keyFrames.wish(),
    });
  }

  get media(): AcceptedMedia {
    return this.#media;
  }

  /** SSRC of the packets that come; -1 before the first. */
  get ssrc(): number {
    return this.#ssrc;
  }

  get packetsLost(): number {
    return this.#reception?.packetsLost ?? 0;
  }

  get jitterMs(): number {
    return this.#reception?.jitterMs ?? 0;
  }

  /** The same m-line in a later offer. */
  update(media: AcceptedMedia): void {
    this.#media = media;
  }

  /** Takes an RTP packet that belongs to this m-line. */
  onRtp(packet: Buffer, payloadOffset: number, nowMs: number): void {
    const payloadType = rtpPayloadType(packet);
    const { codec, telephoneEvent } = this.#media;
    const isEvent = payloadType === telephoneEvent?.payloadType;
    if (!isEvent && payloadType !== codec.payloadType) return;
    const payloadEnd = rtpPayloadEnd(packet, payloadOffset);
    if (payloadEnd < 0) return;
    this.#follow(rtpSsrc(packet)).onPacket(rtpSequence(packet), rtpTimestamp(packet), nowMs);
    this.track.push(packet, payloadOffset, payloadEnd, isEvent);
  }

  onSenderReport(info: SenderInfo, nowMs: number): void {
    this.#reception?.onSenderReport(info, nowMs);
    this.track.setClock({
      ntpSeconds: info.ntpSeconds,
      ntpFraction: info.ntpFraction,
      rtpTimestamp: info.rtpTimestamp,
    });
  }

  /** What to tell the publisher of its packets; undefined before the first. */
  report(nowMs: number): ReportBlock | undefined {
    return this.#reception?.report(nowMs);
  }

  /** The transport was replaced: subscribers wait for a picture. */
  restarted(): void {
    if (this.track.kind === 'video' && this.track.sinkCount > 0) this.#keyFrames.wish();
  }

  close(): void {
    this.#keyFrames.stop();
    this.track.end();
  }

  #follow(ssrc: number): ReceptionStatistics {
    if (this.#reception === undefined || ssrc !== this.#ssrc) {
      this.#ssrc = ssrc;
      this.#reception = new ReceptionStatistics(ssrc, this.#media.codec.clockRate);
    }
    return this.#reception;
  }

  #requestKeyFrame(): void {
    if (this.track.kind !== 'video') return;
    const source = this.#ssrc >= 0 ? this.#ssrc : this.#media.section.ssrcs[0];
    if (source !== undefined) this.#options.send(writePli(this.#options.localSsrc, source));
  }
}
