import { type AudioCodec, findAudioCodec } from '../../codecs/index.js';
import { levelOf, SpeechDetector, StreamLevel } from '../../quality/index.js';
import { findRtpExtension } from '../../rtp/index.js';
import type { AcceptedMedia } from '../sdp/publish-answer.js';
import { AUDIO_LEVEL_EXTENSION } from '../sdp/writer.js';

/** Low seven bits of the extension: the level below full scale, in dB. The highest is the browser's own opinion. */
const LEVEL_BITS = 0x7f;

/**
 * Tells when somebody speaks in a browser's audio: by the level that it writes into each packet; else by what a mix decodes,
 * or (where that is cheap or asked for) by the audio itself.
 */
export class SpeechMeter {
  readonly #detector: SpeechDetector;
  readonly #decodedPower: () => number | undefined;
  readonly #metersSpeech: () => boolean;
  readonly #span = { offset: 0, length: 0 };
  #media: AcceptedMedia | undefined;
  #extensionId: number | undefined;
  #codec: AudioCodec | undefined;
  #level: StreamLevel | undefined;

  /** @param decodedPower {@link PublishedTrack.decodedPower} @param metersSpeech as in {@link EndpointContext} */
  constructor(
    onChange: (isSpeaking: boolean, levelDb: number) => void,
    decodedPower: () => number | undefined,
    metersSpeech: () => boolean,
  ) {
    this.#decodedPower = decodedPower;
    this.#metersSpeech = metersSpeech;
    this.#detector = new SpeechDetector((isSpeaking) => onChange(isSpeaking, this.#detector.levelDb ?? 0));
  }

  get levelDb(): number | undefined {
    return this.#detector.levelDb;
  }

  /** @see SpeechDetector.takePeak */
  takePeak(): number | undefined {
    return this.#detector.takePeak();
  }

  onPacket(media: AcceptedMedia, packet: Buffer, offset: number, end: number, nowMs: number): void {
    if (media !== this.#media) this.#follow(media);
    const codec = this.#codec;
    const level = this.#level;
    if (!codec || !level) return;
    const db = this.#levelOf(level, packet, offset, end);
    if (Number.isNaN(db)) return;
    this.#detector.onLevel(db, (codec.duration(packet, offset, end) * 1000) / codec.clockRate, nowMs);
  }

  poll(nowMs: number): void {
    this.#detector.poll(nowMs);
  }

  #follow(media: AcceptedMedia): void {
    this.#media = media;
    this.#extensionId = media.section.extensions.get(AUDIO_LEVEL_EXTENSION);
    const { name, clockRate } = media.codec;
    const codec = findAudioCodec(name, clockRate);
    if (codec !== this.#codec) this.#level = codec && new StreamLevel(codec, this.#metersSpeech);
    this.#codec = codec;
  }

  #levelOf(level: StreamLevel, packet: Buffer, offset: number, end: number): number {
    const id = this.#extensionId;
    if (id !== undefined && findRtpExtension(packet, offset, id, this.#span))
      return -(packet[this.#span.offset]! & LEVEL_BITS);
    const power = level.power(this.#decodedPower(), packet, offset, end);
    return Number.isNaN(power) ? power : levelOf(power);
  }
}
