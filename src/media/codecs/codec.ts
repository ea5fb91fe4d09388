import type { TrackCodec } from '../track.js';

/** Sample rates of mixes, in Hz: those of phones' codecs, and that which programs may ask for besides (24000). Every decoder supports all of them. */
export type SampleRate = 8000 | 16000 | 24000 | 48000;

/** Longest audio that one packet may hold, in ms (Opus: RFC 6716 section 3.2.5). */
export const MAX_PACKET_MS = 120;

/** Decodes the payloads of one stream in order, with state between them. Samples are mono, 16 bits. */
export interface AudioDecoder {
  /**
   * Decodes `packet[start, end)` into `out` from `at`.
   * @returns number of samples written, 0 when the payload cannot be decoded
   */
  decode(packet: Buffer, start: number, end: number, out: Int16Array, at: number): number;
  /** Fills `out[at, at + samples)` with a replacement for a missing packet (packet loss concealment). */
  conceal(samples: number, out: Int16Array, at: number): void;
}

/** Encodes one stream, with state between frames. */
export interface AudioEncoder {
  /**
   * Encodes `pcm[0, samples)` at the codec's mix rate into `out` from `offset`.
   * @returns number of bytes written
   */
  encode(pcm: Int16Array, samples: number, out: Buffer, offset: number): number;
  /** Takes over the memory of another encoder of the codec, where that can be copied. */
  follow?(other: AudioEncoder): void;
  /** Forgets all that was encoded, where that is cheaper than another encoder. */
  reset?(): void;
}

/**
 * What an encoder keeps from one frame to the next: nothing; something that can be copied; or something that cannot, so
 * that a stream goes from one encoder to another only where nothing is heard.
 */
type EncoderMemory = 'none' | 'copied' | 'opaque';

/** Which of the E-model's scales the speech of a codec is judged on. */
export type SpeechScale = 'narrowband' | 'wideband' | 'fullband';

/** What a codec does to speech, for the E-model. */
export interface SpeechImpairment {
  readonly scale: SpeechScale;
  /** Ie: the equipment impairment factor without loss. */
  readonly ie: number;
  /** Bpl: the robustness to random loss. */
  readonly bpl: number;
  /** Some of the values are not of ITU-T G.113. */
  readonly isEstimate?: true;
}

/**
 * Measures the payloads of one stream, in order.
 * @returns the mean square of a payload's samples, 1 for those of full scale; NaN when it cannot be decoded
 */
export type LevelMeter = (packet: Buffer, start: number, end: number) => number;

/** An audio codec: all that SDP, phones, browsers and mixes need to know about it. */
export interface AudioCodec {
  /** Encoding name, as in SDP. */
  readonly name: string;
  /** RTP clock rate in Hz. */
  readonly clockRate: number;
  readonly channels: number;
  /** Static payload type (RFC 3551 table 4), if the codec has one. */
  readonly payloadType?: number;
  /** Payload type in offers to browsers; absent if they cannot play it. */
  readonly browserPayloadType?: number;
  /** Packet lengths, in ms, that a phone may ask for, in ascending order. */
  readonly ptimes: readonly number[];
  /**
   * The `a=fmtp` with which we receive it; absent if it has no parameters.
   * @param dtx whether the sender should send nothing in silence
   * @param offered its `a=fmtp` in the peer's offer
   */
  readonly receiveFmtp?: (peer: 'phone' | 'browser', dtx: boolean, offered?: string) => string;
  readonly speechImpairment: SpeechImpairment;
  /** Duration of a payload in RTP clock units; 0 if it is not known. */
  duration(packet: Buffer, start: number, end: number): number;
  /** Sample rate of a mix for a phone with this codec. */
  mixRate(fmtp?: string): SampleRate;
  createDecoder(rate: SampleRate): AudioDecoder;
  /** For streams that nobody needs decoded: it does as little as the codec allows. */
  createLevelMeter(): LevelMeter;
  /** Whether level meters cost next to nothing, so that every stream may have one. */
  readonly hasCheapLevel: boolean;
  readonly encoderMemory: EncoderMemory;
  /** @param fmtp the receiver's parameters; followed as far as the encoder supports them */
  createEncoder(rate: SampleRate, fmtp?: string): AudioEncoder;
}

/** The codec of a track, with the publisher's `a=fmtp`. */
export function toTrackCodec(codec: AudioCodec, fmtp?: string): TrackCodec {
  const { name, clockRate, channels } = codec;
  return { name, clockRate, channels, ...(fmtp === undefined ? {} : { fmtp }) };
}

/** A video codec, or a variant of one, that is forwarded between browsers. */
export interface VideoCodec extends TrackCodec {
  readonly payloadType: number;
  /** Payload type of retransmissions (RFC 4588). */
  readonly rtxPayloadType: number;
}

/** Mean square of samples, 1 for those of full scale; NaN without samples. */
export function meanSquare(pcm: Int16Array, from: number, to: number): number {
  let sum = 0;
  for (let i = from; i < to; i += 1) sum += pcm[i]! * pcm[i]!;
  return sum / (to - from) / 0x4000_0000;
}
