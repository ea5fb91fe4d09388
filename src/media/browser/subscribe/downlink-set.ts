import { addFigures, type StreamFigures } from '../../quality/index.js';
import type { PublishedTrack } from '../../track.js';
import type { ForwardedCodec } from '../codecs.js';
import { Downlink, type SubscriberLink } from '../forward/downlink.js';
import type { FanoutTable } from '../forward/fanout.js';
import { SubscriberBandwidth } from './subscriber-bandwidth.js';
import {
  FEEDBACK_APPLICATION,
  FEEDBACK_FIR,
  FEEDBACK_NACK,
  FEEDBACK_PLI,
  feedbackSource,
  readFirSources,
  readNack,
  readRemb,
  readReportBlocks,
  readUint32,
  readVoipMetrics,
  RTCP_EXTENDED_REPORT,
  RTCP_PAYLOAD_FEEDBACK,
  RTCP_RECEIVER_REPORT,
  RTCP_SENDER_REPORT,
  RTCP_TRANSPORT_FEEDBACK,
  RtcpCursor,
} from '../../rtp/index.js';

/** The tracks that one subscriber receives, by their SSRCs. */
export class DownlinkSet {
  readonly #fanouts: FanoutTable;
  readonly #link: SubscriberLink;
  readonly bandwidth = new SubscriberBandwidth(() => this.requestKeyFrames());
  readonly #byTrack = new Map<PublishedTrack, Downlink>();
  readonly #bySsrc = new Map<number, Downlink>();
  /** Of the audio tracks that are sent no more. */
  #past: StreamFigures = { packets: 0 };

  constructor(fanouts: FanoutTable, link: SubscriberLink) {
    this.#fanouts = fanouts;
    this.#link = link;
  }

  of(track: PublishedTrack): Downlink | undefined {
    return this.#byTrack.get(track);
  }

  bySsrc(ssrc: number): Downlink | undefined {
    return this.#bySsrc.get(ssrc);
  }

  /** Of the audio tracks: those that are sent, each by itself, and those that were. */
  get audioFigures(): readonly StreamFigures[] {
    const audio = [...this.#byTrack.values()].filter(({ fanout }) => fanout.track.kind === 'audio');
    return [this.#past, ...audio.map((downlink) => downlink.figures)];
  }

  /** Keeps exactly these tracks' downlinks; the others stop at once. */
  retain(tracks: readonly PublishedTrack[]): void {
    const wanted = new Set(tracks);
    for (const [track, downlink] of this.#byTrack) {
      if (wanted.has(track)) continue;
      if (track.kind === 'audio') this.#past = addFigures(this.#past, downlink.figures);
      downlink.close();
      this.bandwidth.remove(track);
      this.#fanouts.release(downlink.fanout);
      this.#byTrack.delete(track);
      this.#bySsrc.delete(downlink.fanout.ssrc);
    }
    for (const track of tracks) if (!this.#byTrack.has(track)) this.#add(track);
  }

  /** Nothing is sent any more. */
  close(): void {
    this.retain([]);
    this.bandwidth.stop();
  }

  /** The codec by which a track is forwarded to the subscriber; undefined if it is not forwarded. */
  codecOf(track: PublishedTrack): ForwardedCodec | undefined {
    return this.#byTrack.get(track)?.fanout.codec;
  }

  /** A fresh transport has come up: nothing decodes before the next key frame. */
  requestKeyFrames(): void {
    for (const downlink of this.#byTrack.values()) downlink.wantPicture();
  }

  #add(track: PublishedTrack): void {
    const fanout = this.#fanouts.acquire(track);
    if (!fanout) return;
    const downlink = new Downlink(fanout, {
      // Both tracks of a stream share it, so that the browser keeps them in step.
      cname: track.streamId,
      link: this.#link,
      ...(track.kind === 'video' ? { bandwidth: this.bandwidth.add(track) } : {}),
    });
    this.#byTrack.set(track, downlink);
    this.#bySsrc.set(fanout.ssrc, downlink);
  }
}

/** Acts on the RTCP of a subscriber: repeats what it lost, asks publishers for the key frames it needs. */
export class SubscriberFeedback {
  readonly #downlinks: DownlinkSet;
  readonly #onReportIgnored: () => void;
  readonly #cursor = new RtcpCursor();

  /** @param onReportIgnored a report could not be true, or was not as long as it said */
  constructor(downlinks: DownlinkSet, onReportIgnored: () => void) {
    this.#downlinks = downlinks;
    this.#onReportIgnored = onReportIgnored;
  }

  onRtcp(packet: Buffer): void {
    this.#cursor.open(packet);
    while (this.#cursor.next()) {
      switch (this.#cursor.type) {
        case RTCP_SENDER_REPORT:
        case RTCP_RECEIVER_REPORT:
          this.#onReport(packet);
          break;
        case RTCP_EXTENDED_REPORT:
          this.#onExtendedReport(packet);
          break;
        case RTCP_TRANSPORT_FEEDBACK:
          this.#onTransportFeedback(packet);
          break;
        case RTCP_PAYLOAD_FEEDBACK:
          this.#onPayloadFeedback(packet);
          break;
        default:
      }
    }
  }

  #onReport(packet: Buffer): void {
    for (const block of readReportBlocks(packet, this.#cursor)) {
      const downlink = this.#downlinks.bySsrc(block.ssrc);
      if (!downlink) continue;
      if (downlink.fanout.track.kind === 'video') this.#downlinks.bandwidth.onLoss(block.fractionLost / 256);
      else if (!downlink.onReport(readUint32(packet, this.#cursor.start), block)) this.#onReportIgnored();
    }
  }

  #onExtendedReport(packet: Buffer): void {
    const isWhole = readVoipMetrics(packet, this.#cursor, (metrics) => {
      const downlink = this.#downlinks.bySsrc(metrics.ssrc);
      if (downlink && !downlink.onVoipMetrics(metrics)) this.#onReportIgnored();
    });
    if (!isWhole) this.#onReportIgnored();
  }

  #onTransportFeedback(packet: Buffer): void {
    if (this.#cursor.count !== FEEDBACK_NACK) return;
    const downlink = this.#downlinks.bySsrc(feedbackSource(packet, this.#cursor));
    if (!downlink) return;
    const now = performance.now();
    readNack(packet, this.#cursor, (sequence) => downlink.retransmit(sequence, now));
  }

  #onPayloadFeedback(packet: Buffer): void {
    switch (this.#cursor.count) {
      case FEEDBACK_PLI:
        this.#requestKeyFrame(feedbackSource(packet, this.#cursor));
        return;
      case FEEDBACK_FIR:
        for (const ssrc of readFirSources(packet, this.#cursor)) this.#requestKeyFrame(ssrc);
        return;
      case FEEDBACK_APPLICATION: {
        const bitrate = readRemb(packet, this.#cursor);
        if (bitrate !== undefined) this.#downlinks.bandwidth.onEstimate(bitrate);
        return;
      }
      default:
    }
  }

  #requestKeyFrame(ssrc: number): void {
    this.#downlinks.bySsrc(ssrc)?.wantPicture();
  }
}
