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
  RTCP_PAYLOAD_FEEDBACK,
  RTCP_RECEIVER_REPORT,
  RTCP_SENDER_REPORT,
  RTCP_TRANSPORT_FEEDBACK,
  RtcpCursor,
} from '../../rtp/index.js';
import type { DownlinkSet } from './downlink-set.js';

/** Acts on the RTCP of a subscriber: repeats what it lost, asks publishers for the key frames it needs. */
export class SubscriberFeedback {
  readonly #downlinks: DownlinkSet;
  readonly #cursor = new RtcpCursor();

  constructor(downlinks: DownlinkSet) {
    this.#downlinks = downlinks;
  }

  onRtcp(packet: Buffer): void {
    this.#cursor.open(packet);
    while (this.#cursor.next()) {
      switch (this.#cursor.type) {
        case RTCP_SENDER_REPORT:
        case RTCP_RECEIVER_REPORT:
          this.#onReport(packet);
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
    for (const { ssrc, fractionLost } of readReportBlocks(packet, this.#cursor)) {
      if (this.#downlinks.bySsrc(ssrc)?.fanout.track.kind !== 'video') continue;
      this.#downlinks.bandwidth.onLoss(fractionLost / 256);
    }
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
