import type { TrackCodec } from '../track.js';

/** Sample rates in Hz that mixes are made at, and that every decoder can give. */
export type SampleRate = 8000 | 16000 | 48000;

/** Longest audio that one packet may hold, in ms (Opus: RFC 6716 section 3.2.5). */
export const MAX_PACKET_MS = 120;

/** Decodes one stream's payloads, in order; keeps state between them. Samples are mono, 16 bits. */
export interface AudioDecoder {
  /**
   * Decodes `packet[start, end)` into `out` from `at`.
   * @returns number of samples written, 0 when the payload cannot be decoded
   */
  decode(packet: Buffer, start: number, end: number, out: Int16Array, at: number): number;
  /** Fills `out[at, at + samples)` with what a listener will take for the missing packet. */
  conceal(samples: number, out: Int16Array, at: number): void;
}

/** Encodes one stream; keeps state between frames. */
export interface AudioEncoder {
  /**
   * Encodes `pcm[0, samples)` at the codec's mix rate into `out` from `offset`.
   * @returns number of bytes written
   */
  encode(pcm: Int16Array, samples: number, out: Buffer, offset: number): number;
}

/** An audio codec: all that SDP, phones, browsers and mixes need to know of it. */
export interface AudioCodec {
  /** Encoding name in SDP spelling. */
  readonly name: string;
  /** RTP clock rate in Hz. */
  readonly clockRate: number;
  readonly channels: number;
  /** Static payload type (RFC 3551 table 4), for codecs that have one. */
  readonly payloadType?: number;
  /** Payload type under which browsers are offered it as it is; absent when they cannot play it. */
  readonly browserPayloadType?: number;
  /** Packet lengths, in ms, that a phone may ask for, in ascending order. */
  readonly ptimes: readonly number[];
  /**
   * The `a=fmtp` by which we receive it; absent when it has no parameters.
   * @param dtx whether the sender shall stop in silence
   * @param offered what the peer's offer says of it
   */
  readonly receiveFmtp?: (peer: 'phone' | 'browser', dtx: boolean, offered?: string) => string;
  /** Duration of a payload in RTP clock units; 0 when it cannot be told. */
  duration(packet: Buffer, start: number, end: number): number;
  /** Sample rate that a mix for a phone with this codec is made at. */
  mixRate(fmtp?: string): SampleRate;
  createDecoder(rate: SampleRate): AudioDecoder;
  /** @param fmtp what the receiver asks for, as far as it is to be had */
  createEncoder(rate: SampleRate, fmtp?: string): AudioEncoder;
}

/** The codec as tracks name it, with what the publisher said in `a=fmtp`. */
export function toTrackCodec(codec: AudioCodec, fmtp?: string): TrackCodec {
  const { name, clockRate, channels } = codec;
  return { name, clockRate, channels, ...(fmtp === undefined ? {} : { fmtp }) };
}

/** A video codec, or a variant of one, that is forwarded between browsers. */
export interface VideoCodec extends TrackCodec {
  readonly payloadType: number;
  /** Of retransmissions (RFC 4588). */
  readonly rtxPayloadType: number;
}
