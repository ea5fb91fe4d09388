import { findRtpExtension } from '../../rtp/index.js';
import type { AcceptedMedia } from '../sdp/publish-answer.js';
import { TRANSPORT_CC_EXTENSION } from '../sdp/writer.js';
import { ArrivalLog } from './arrival-log.js';

const INTERVAL_MS = 100;

/** Sends a publisher the arrival times of its packets, by which it finds the bit rate that its network takes. */
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
