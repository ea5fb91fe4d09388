import { randomInt } from 'node:crypto';
import {
  ReceptionStatistics,
  rtpPayloadEnd,
  rtpPayloadOffset,
  rtpPayloadType,
  rtpSequence,
  rtpSsrc,
  rtpTimestamp,
  sequenceDelta,
  setRtpSequence,
  setRtpSsrc,
  setRtpTimestamp,
} from '../rtp/index.js';
import type { PublishedTrack } from '../track.js';
import { DtmfReceiver } from '../rtp/dtmf-receiver.js';
import type { DigitListener } from '../rtp/dtmf-receiver.js';
import type { AudioSession } from './sdp/audio-session.js';

/** A new SSRC is followed after so many packets with none of the old one between them. */
const TAKE_OVER_PACKETS = 3;

/**
 * What comes from one phone: checked, cleaned of what is not audio, and pushed to its track as one unbroken stream.
 * Subscribers see one SSRC and sequence numbers without gaps of our making, whatever the phone or the carrier behind
 * it does in the middle of a call.
 */
export class RtpReceiver {
  readonly #dtmf: DtmfReceiver;
  readonly #ssrcOut = randomInt(1, 0xffffffff);
  #session: AudioSession | undefined;
  #track: PublishedTrack | undefined;
  #ssrc = -1;
  #rival = -1;
  #rivalPackets = 0;
  #sequenceOffset = 0;
  #timestampOffset = 0;
  #lastSequence = -1;
  #lastTimestamp = 0;
  #lastAt = 0;
  packets = 0;
  bytes = 0;
  reception: ReceptionStatistics | undefined;

  constructor(onDigit: DigitListener) {
    this.#dtmf = new DtmfReceiver(onDigit);
  }

  /** Takes the session in force and the track that its audio goes to. */
  configure(session: AudioSession, track: PublishedTrack): void {
    this.#session = session;
    this.#track = track;
  }

  /**
   * Takes a datagram; rewrites its header in place.
   * @returns whether it is RTP of this session, as far as can be told
   */
  onPacket(packet: Buffer, nowMs: number): boolean {
    const session = this.#session;
    const offset = rtpPayloadOffset(packet);
    if (!session || offset < 0) return false;
    const end = rtpPayloadEnd(packet, offset);
    if (end < 0) return false;
    const payloadType = rtpPayloadType(packet);
    const isAudio = payloadType === session.payloadType;
    const eventRate = isAudio ? undefined : telephoneEventRate(session, payloadType);
    if (!isAudio && eventRate === undefined && !session.comfortNoise.has(payloadType)) return false;
    if (!this.#follow(rtpSsrc(packet), packet, nowMs)) return true;
    this.packets += 1;
    this.bytes += packet.length;
    this.reception?.onPacket(rtpSequence(packet), rtpTimestamp(packet), nowMs);
    if (eventRate !== undefined) this.#dtmf.onPacket(packet, offset, end, eventRate, nowMs);
    this.#forward(packet, offset, end, isAudio, eventRate !== undefined, nowMs);
    return true;
  }

  poll(nowMs: number): void {
    this.#dtmf.poll(nowMs);
  }

  /** Decides whether a packet belongs to the stream that is played; takes over a stream that replaced it. */
  #follow(ssrc: number, packet: Buffer, nowMs: number): boolean {
    if (ssrc === this.#ssrc) {
      this.#rivalPackets = 0;
      return true;
    }
    if (this.#ssrc >= 0) {
      if (ssrc !== this.#rival) this.#rivalPackets = 0;
      this.#rival = ssrc;
      this.#rivalPackets += 1;
      if (this.#rivalPackets < TAKE_OVER_PACKETS) return false;
    }
    this.#takeOver(ssrc, packet, nowMs);
    return true;
  }

  /** Lets a stream go on where the last one stopped. */
  #takeOver(ssrc: number, packet: Buffer, nowMs: number): void {
    const clockRate = this.#session?.codec.clockRate ?? 8000;
    if (this.#ssrc >= 0) {
      const elapsed = Math.round(((nowMs - this.#lastAt) * clockRate) / 1000);
      this.#sequenceOffset = this.#lastSequence + 1 - rtpSequence(packet);
      this.#timestampOffset = this.#lastTimestamp + elapsed - rtpTimestamp(packet);
    }
    this.#ssrc = ssrc;
    this.#rivalPackets = 0;
    this.reception = new ReceptionStatistics(ssrc, clockRate);
  }

  #forward(
    packet: Buffer,
    offset: number,
    end: number,
    isAudio: boolean,
    isEvent: boolean,
    nowMs: number,
  ): void {
    const sequence = (rtpSequence(packet) + this.#sequenceOffset) & 0xffff;
    const isNewest = this.#lastSequence < 0 || sequenceDelta(sequence, this.#lastSequence) > 0;
    if (!isAudio && !isEvent) {
      // Comfort noise is left out, and no gap is to be seen where it was.
      if (isNewest) this.#sequenceOffset -= 1;
      return;
    }
    const timestamp = (rtpTimestamp(packet) + this.#timestampOffset) >>> 0;
    if (isNewest) {
      this.#lastSequence = sequence;
      this.#lastTimestamp = timestamp;
      this.#lastAt = nowMs;
    }
    setRtpSequence(packet, sequence);
    setRtpTimestamp(packet, timestamp);
    setRtpSsrc(packet, this.#ssrcOut);
    this.#track?.push(packet, offset, end, isEvent);
  }
}

function telephoneEventRate(session: AudioSession, payloadType: number): number | undefined {
  for (const [clockRate, eventType] of session.telephoneEvents) {
    if (eventType === payloadType) return clockRate;
  }
  return undefined;
}
