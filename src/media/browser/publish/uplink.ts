import {
  type DigitListener,
  DtmfReceiver,
  ReceptionStatistics,
  type ReportBlock,
  rtpPayloadEnd,
  rtpPayloadType,
  rtpSequence,
  rtpSsrc,
  rtpTimestamp,
  type SenderInfo,
  setRtpPayloadType,
  setRtpSequence,
  setRtpSsrc,
  writePli,
} from '../../rtp/index.js';
import { findAudioCodec } from '../../codecs/index.js';
import type { StreamFigures } from '../../quality/index.js';
import { PublishedTrack } from '../../track.js';
import { LastPicture } from '../forward/last-picture.js';
import type { AcceptedMedia } from '../sdp/publish-answer.js';
import { beginsKeyFrame } from '../forward/key-frames.js';
import { LayerChoice } from './layer-choice.js';
import { LossRepair } from './lost-packets.js';
import { SpeechMeter } from './speech-meter.js';

const OSN_LENGTH = 2;

/** Shortest time between requests for key frames, which cost several times the bits of other frames. */
const MIN_INTERVAL_MS = 500;

export interface UplinkOptions {
  readonly media: AcceptedMedia;
  readonly streamId: string;
  /** SSRC that our RTCP goes out under. */
  readonly localSsrc: number;
  readonly send: (packet: Buffer) => void;
  /** A DTMF digit came in this m-line's audio. */
  readonly onDigit: DigitListener;
  /** Somebody begins or ceases to speak in this m-line's audio. */
  readonly onSpeaking: (streamId: string, isSpeaking: boolean, levelDb: number) => void;
  /** As in {@link EndpointContext}. */
  readonly metersSpeech: () => boolean;
}

/** One m-line on which a browser publishes: its packets become those of a published track. */
export class Uplink {
  readonly track: PublishedTrack;
  readonly #options: UplinkOptions;
  readonly #keyFrames: KeyFrameRequests;
  readonly #digits: DtmfReceiver;
  readonly #picture: LastPicture | undefined;
  /** Of audio. */
  readonly #speech: SpeechMeter | undefined;
  #media: AcceptedMedia;
  #layers: LayerChoice | undefined;
  /** SSRC of a layer that is to be forwarded from its next key frame on. */
  #nextSsrc: number | undefined;
  /** SSRC of the packets that are forwarded. */
  #ssrc = -1;
  #bitrateLimit = Infinity;
  #bytes = 0;
  #repair: LossRepair | undefined;
  #reception: ReceptionStatistics | undefined;
  /** Of the SSRCs before. */
  readonly #before = { packets: 0, lost: 0 };

  constructor(options: UplinkOptions) {
    this.#options = options;
    this.#media = options.media;
    this.#keyFrames = new KeyFrameRequests(() => this.#requestKeyFrame());
    this.#digits = new DtmfReceiver(options.onDigit);
    const { section, codec } = options.media;
    this.#layers = layersOf(options.media);
    const isVideo = section.kind === 'video';
    this.#speech = isVideo
      ? undefined
      : new SpeechMeter(
          (isSpeaking, levelDb) => options.onSpeaking(options.streamId, isSpeaking, levelDb),
          () => this.track.decodedPower,
          options.metersSpeech,
        );
    this.#picture = isVideo ? new LastPicture(codec.name, () => this.#keyFrames.ask()) : undefined;
    this.track = new PublishedTrack({
      kind: section.kind,
      streamId: options.streamId,
      codec: {
        name: codec.name,
        clockRate: codec.clockRate,
        channels: codec.channels,
        ...(codec.fmtp === undefined ? {} : { fmtp: codec.fmtp }),
      },
      requestKeyFrame: () => this.#keyFrames.ask(),
      limitBitrate: (bitsPerSecond) => {
        this.#bitrateLimit = bitsPerSecond;
      },
      ...(this.#picture ? { picture: this.#picture } : {}),
    });
  }

  get media(): AcceptedMedia {
    return this.#media;
  }

  /** SSRC of the packets that come; -1 before the first. */
  get ssrc(): number {
    return this.#ssrc;
  }

  /** Bits per second that the subscribers can take; Infinity: any number. */
  get bitrateLimit(): number {
    return this.#bitrateLimit;
  }

  /** Bytes of packets that came since the last call. */
  takeBytes(): number {
    const bytes = this.#bytes;
    this.#bytes = 0;
    return bytes;
  }

  /** Over all SSRCs, one after the other. */
  get packetsLost(): number {
    return this.#before.lost + (this.#reception?.packetsLost ?? 0);
  }

  /** What came of an audio track, and how. */
  get figures(): StreamFigures {
    const packets = this.#before.packets + (this.#reception?.packets ?? 0);
    const { name, clockRate } = this.#media.codec;
    return {
      packets,
      ...(packets > 0 && {
        lost: this.packetsLost,
        expected: packets + this.packetsLost,
        ...this.track.played,
      }),
      jitterMs: this.#reception?.jitterMs,
      levelDb: this.#speech?.levelDb,
      codec: findAudioCodec(name, clockRate)?.speechImpairment,
    };
  }

  /** Loudest level of its audio since the last call, in dB relative to full scale, if it is known. */
  takeLevel(): number | undefined {
    return this.#speech?.takePeak();
  }

  get jitterMs(): number {
    return this.#reception?.jitterMs ?? 0;
  }

  /** The same m-line in a later offer. */
  update(media: AcceptedMedia): void {
    const sameLayers = media.section.layerSsrcs?.join() === this.#media.section.layerSsrcs?.join();
    this.#media = media;
    if (!sameLayers) this.#layers = layersOf(media);
  }

  /** Takes an RTP packet that belongs to this m-line. */
  onRtp(packet: Buffer, payloadOffset: number, nowMs: number): void {
    this.#bytes += packet.length;
    const { codec, rtx, telephoneEvent } = this.#media;
    switch (rtpPayloadType(packet)) {
      case codec.payloadType:
        this.#receive(packet, payloadOffset, nowMs, false);
        return;
      case telephoneEvent?.payloadType:
        this.#receive(packet, payloadOffset, nowMs, true);
        return;
      case rtx?.payloadType:
        this.#receiveRepeated(packet, payloadOffset, nowMs);
        return;
      default:
    }
  }

  onSenderReport(ssrc: number, info: SenderInfo, nowMs: number): void {
    // Each layer has its own timestamps.
    if (this.#layers && ssrc !== this.#ssrc) return;
    this.#reception?.onSenderReport(info, nowMs);
    this.track.setClock({
      ntpSeconds: info.ntpSeconds,
      ntpFraction: info.ntpFraction,
      rtpTimestamp: info.rtpTimestamp,
    });
  }

  /** The report block about the publisher's packets, undefined before the first. Called once a second. */
  report(nowMs: number): ReportBlock | undefined {
    this.#digits.poll(nowMs);
    this.#speech?.poll(nowMs);
    return this.#reception?.report(nowMs);
  }

  /** The transport was replaced: subscribers wait for a picture. */
  restarted(): void {
    if (this.track.kind === 'video' && this.track.sinkCount > 0) this.#keyFrames.ask();
  }

  close(): void {
    this.#keyFrames.stop();
    this.#repair?.stop();
    this.track.end();
  }

  #receive(packet: Buffer, payloadOffset: number, nowMs: number, telephoneEvent: boolean): void {
    const payloadEnd = rtpPayloadEnd(packet, payloadOffset);
    if (payloadEnd < 0) return;
    if (this.#layers && !this.#mayPass(this.#layers, packet, payloadOffset, payloadEnd, nowMs)) return;
    const sequence = rtpSequence(packet);
    this.#follow(rtpSsrc(packet)).onPacket(sequence, rtpTimestamp(packet), nowMs);
    this.#repair?.onPacket(sequence, nowMs);
    if (telephoneEvent)
      this.#digits.onPacket(packet, payloadOffset, payloadEnd, this.track.codec.clockRate, nowMs);
    else this.#speech?.onPacket(this.#media, packet, payloadOffset, payloadEnd, nowMs);
    this.#push(packet, payloadOffset, payloadEnd, telephoneEvent, nowMs);
  }

  #mayPass(layers: LayerChoice, packet: Buffer, from: number, to: number, nowMs: number): boolean {
    const ssrc = rtpSsrc(packet);
    const verdict = layers.take(ssrc, beginsKeyFrame(this.track.codec.name, packet, from, to), nowMs);
    if (verdict === 'key') {
      this.#nextSsrc = ssrc;
      this.#keyFrames.ask();
    }
    return verdict === 'forward';
  }

  #receiveRepeated(packet: Buffer, payloadOffset: number, nowMs: number): void {
    if (this.#ssrc < 0) return;
    if (this.#layers && this.#media.section.rtxSsrcs.get(this.#ssrc) !== rtpSsrc(packet)) return;
    const { payloadType } = this.#media.codec;
    const restored = restoreRetransmission(packet, payloadOffset, this.#ssrc, payloadType);
    if (!restored) return;
    // Not counted as received: receiver reports are about first transmissions.
    this.#repair?.onPacket(rtpSequence(restored), nowMs);
    this.#push(restored, payloadOffset, rtpPayloadEnd(restored, payloadOffset), false, nowMs);
  }

  #push(packet: Buffer, offset: number, end: number, telephoneEvent: boolean, nowMs: number): void {
    this.#picture?.onPacket(packet, offset, end, nowMs);
    this.track.push(packet, offset, end, telephoneEvent);
  }

  #follow(ssrc: number): ReceptionStatistics {
    if (this.#reception !== undefined && ssrc === this.#ssrc) return this.#reception;
    const { codec } = this.#media;
    this.#before.packets += this.#reception?.packets ?? 0;
    this.#before.lost = this.packetsLost;
    this.#ssrc = ssrc;
    this.#reception = new ReceptionStatistics(ssrc, codec.clockRate);
    this.#repair?.stop();
    this.#repair = codec.feedback.includes('nack') ? this.#newRepair(ssrc) : undefined;
    return this.#reception;
  }

  #newRepair(ssrc: number): LossRepair {
    const { localSsrc, send } = this.#options;
    return new LossRepair({ localSsrc, ssrc, send, onUnrepairable: () => this.#keyFrames.ask() });
  }

  #requestKeyFrame(): void {
    if (this.track.kind !== 'video') return;
    const source = this.#ssrc >= 0 ? this.#ssrc : this.#media.section.ssrcs[0];
    for (const ssrc of new Set([source, this.#nextSsrc]))
      if (ssrc !== undefined) this.#options.send(writePli(this.#options.localSsrc, ssrc));
    this.#nextSsrc = undefined;
  }
}

function layersOf({ section: { layerSsrcs = [] } }: AcceptedMedia): LayerChoice | undefined {
  return layerSsrcs.length > 1 ? new LayerChoice(layerSsrcs) : undefined;
}

/**
 * Limits the rate of key frame requests: the first goes out at once, those that follow too soon are merged into one
 * at the end of the interval.
 */
class KeyFrameRequests {
  readonly #request: () => void;
  #lastAt = -Infinity;
  #timer: NodeJS.Timeout | undefined;

  constructor(request: () => void) {
    this.#request = request;
  }

  ask(): void {
    if (this.#timer) return;
    const wait = this.#lastAt + MIN_INTERVAL_MS - performance.now();
    if (wait <= 0) this.#send();
    else this.#timer = setTimeout(() => this.#send(), wait);
  }

  stop(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  #send(): void {
    this.#timer = undefined;
    this.#lastAt = performance.now();
    this.#request();
  }
}

/**
 * Makes the packet that a retransmission repeats (RFC 4588 section 4), in the retransmission's memory.
 * @returns undefined for one without a payload, which only probes the network
 */
function restoreRetransmission(
  packet: Buffer,
  payloadOffset: number,
  ssrc: number,
  payloadType: number,
): Buffer | undefined {
  if (rtpPayloadEnd(packet, payloadOffset) < payloadOffset + OSN_LENGTH) return undefined;
  const sequence = packet.readUInt16BE(payloadOffset);
  packet.copyWithin(OSN_LENGTH, 0, payloadOffset);
  const restored = packet.subarray(OSN_LENGTH);
  setRtpSequence(restored, sequence);
  setRtpSsrc(restored, ssrc);
  setRtpPayloadType(restored, payloadType);
  return restored;
}
