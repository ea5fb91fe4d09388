import { findRtpExtension, sequenceDelta, writeTransportFeedback } from '../../rtp/index.js';
import type { AcceptedMedia } from '../sdp/publish-answer.js';
import { TRANSPORT_CC_EXTENSION } from '../sdp/writer.js';

/** Most packets in one feedback; more arrive in an interval only in a flood. */
const MAX_PACKETS = 1000;

const INTERVAL_MS = 100;

/**
 * Sends a publisher the arrival times of its packets, from which it estimates the bit rate of its network.
 */
export class TransportFeedbackSender {
  readonly #localSsrc: number;
  readonly #send: (packet: Buffer) => void;
  readonly #log = new ArrivalLog();
  readonly #span = { offset: 0, length: 0 };
  #extensionId: number | undefined;
  #source = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(localSsrc: number, send: (packet: Buffer) => void) {
    this.#localSsrc = localSsrc;
    this.#send = send;
  }

  /** Follows an answer: the feedback is on when the m-lines have it. */
  update(accepted: readonly AcceptedMedia[]): void {
    const media = accepted.find(({ section }) => section.extensions.has(TRANSPORT_CC_EXTENSION));
    this.#extensionId = media?.section.extensions.get(TRANSPORT_CC_EXTENSION);
    this.#source = media?.section.ssrcs[0] ?? 0;
    if (this.#extensionId === undefined) this.stop();
    else this.#timer ??= setInterval(() => this.#report(), INTERVAL_MS).unref();
  }

  onPacket(packet: Buffer, payloadOffset: number, nowMs: number): void {
    if (this.#extensionId === undefined) return;
    if (!findRtpExtension(packet, payloadOffset, this.#extensionId, this.#span)) return;
    if (this.#span.length === 2) this.#log.onPacket(packet.readUInt16BE(this.#span.offset), nowMs);
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  #report(): void {
    const feedback = this.#log.feedback(this.#localSsrc, this.#source);
    if (feedback) this.#send(feedback);
  }
}

/** Arrival times of a publisher's packets by transport-wide sequence number, for its congestion control. */
class ArrivalLog {
  #base = -1;
  #arrivals: number[] = [];
  #feedbackCount = 0;

  onPacket(sequence: number, nowMs: number): void {
    if (this.#base < 0 || this.#jumped(sequence)) this.#base = sequence;
    const index = sequenceDelta(sequence, this.#base);
    // Already reported as lost, or too far ahead to be true.
    if (index < 0 || index >= MAX_PACKETS) return;
    while (this.#arrivals.length < index) this.#arrivals.push(Number.NaN);
    this.#arrivals[index] = nowMs;
  }

  /** The publisher's numbers jumped; they are followed only between two feedbacks. */
  #jumped(sequence: number): boolean {
    return this.#arrivals.length === 0 && Math.abs(sequenceDelta(sequence, this.#base)) >= MAX_PACKETS;
  }

  /** The feedback on what came since the last one; undefined when nothing did. */
  feedback(sender: number, source: number): Buffer | undefined {
    const first = this.#arrivals.findIndex((arrival) => !Number.isNaN(arrival));
    if (first < 0) return undefined;
    const baseSequence = (this.#base + first) & 0xffff;
    const arrivals = this.#arrivals.slice(first);
    this.#base = (this.#base + this.#arrivals.length) & 0xffff;
    this.#arrivals = [];
    this.#feedbackCount += 1;
    return writeTransportFeedback({
      sender,
      source,
      baseSequence,
      arrivals,
      feedbackCount: this.#feedbackCount,
    });
  }
}
