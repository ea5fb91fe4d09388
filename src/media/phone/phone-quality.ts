import type { AudioCodec } from '../codecs/index.js';
import {
  directionQuality,
  levelOf,
  type ReceiverReports,
  SpeechDetector,
  StreamLevel,
} from '../quality/index.js';
import type { Played, PublishedTrack } from '../track.js';
import type { DeviceQuality, DeviceStatistics, StreamLevelInfo } from '../types.js';
import type { RtpReceiver } from './rtp-receiver.js';
import type { RtpSender } from './rtp-sender.js';

interface PhoneQualityParts {
  readonly receiver: RtpReceiver;
  readonly sender: RtpSender;
  readonly reports: ReceiverReports;
  /** As in {@link EndpointContext}. */
  readonly metersSpeech: () => boolean;
  /** Somebody begins or ceases to speak into the phone. */
  readonly onSpeaking: (isSpeaking: boolean, levelDb: number) => void;
}

/** How a phone's audio fares, both ways. */
export class PhoneQuality {
  readonly #parts: PhoneQualityParts;
  /** Of the tracks that a change of codec ended. */
  #playedBefore: Played | undefined;
  #track: PublishedTrack | undefined;
  readonly #speech: SpeechDetector;
  #codec: AudioCodec | undefined;
  #level: StreamLevel | undefined;

  constructor(parts: PhoneQualityParts) {
    this.#parts = parts;
    this.#speech = new SpeechDetector((isSpeaking) =>
      parts.onSpeaking(isSpeaking, this.#speech.levelDb ?? 0),
    );
  }

  /** The phone's audio, in this codec, goes to this track from now on. */
  follow(track: PublishedTrack, codec: AudioCodec): void {
    this.#playedBefore = this.#played();
    this.#track = track;
    this.#codec = codec;
    this.#level = new StreamLevel(codec, this.#parts.metersSpeech);
  }

  /** Audio came. */
  onAudio(packet: Buffer, offset: number, end: number, nowMs: number): void {
    if (!this.#codec || !this.#level) return;
    const power = this.#level.power(this.#track?.decodedPower, packet, offset, end);
    if (Number.isNaN(power)) return;
    const { clockRate } = this.#codec;
    const ms = (this.#codec.duration(packet, offset, end) * 1000) / clockRate;
    this.#speech.onLevel(levelOf(power), ms, nowMs);
  }

  /** To be called several times a second. */
  poll(nowMs: number): void {
    this.#speech.poll(nowMs);
  }

  takeLevels(streamId: string): readonly StreamLevelInfo[] {
    const levelDb = this.#speech.takePeak();
    return levelDb === undefined ? [] : [{ streamId, levelDb }];
  }

  statistics(): DeviceStatistics {
    const { receiver, sender } = this.#parts;
    return {
      packetsReceived: receiver.packets,
      bytesReceived: receiver.bytes,
      packetsSent: sender.packets,
      bytesSent: sender.bytes,
      packetsLost: receiver.packetsLost,
      jitterMs: receiver.reception?.jitterMs ?? 0,
      quality: this.#quality(),
    };
  }

  #quality(): DeviceQuality {
    const { receiver, sender, reports } = this.#parts;
    const { packets, packetsLost, reception, codec } = receiver;
    const received = {
      packets,
      ...(packets > 0 && { lost: packetsLost, expected: packets + packetsLost, ...this.#played() }),
      jitterMs: reception?.jitterMs,
      roundTripMs: reports.roundTripMs,
      levelDb: this.#speech.levelDb,
      codec: codec?.speechImpairment,
    };
    const sent = {
      ...reports.figures(sender.packets),
      codec: sender.codec?.speechImpairment,
    };
    return { received: directionQuality([received]), sent: directionQuality([sent]) };
  }

  #played(): Played | undefined {
    const [before, now] = [this.#playedBefore, this.#track?.played];
    if (!before || !now) return before ?? now;
    return {
      discarded: before.discarded + now.discarded,
      concealedMs: before.concealedMs + now.concealedMs,
    };
  }
}
