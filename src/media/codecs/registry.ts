import type { AudioCodec } from './codec.js';
import { PCMA, PCMU } from './g711.js';
import { G722 } from './g722.js';
import { OPUS } from './opus.js';

/** All audio codecs that can be decoded into a mix and encoded for a phone. */
export const AUDIO_CODECS: readonly AudioCodec[] = [OPUS, G722, PCMU, PCMA];

/** Finds a codec by its SDP encoding name (case does not matter) and clock rate. */
export function findAudioCodec(name: string, clockRate: number): AudioCodec | undefined {
  const wanted = name.toLowerCase();
  return AUDIO_CODECS.find((codec) => codec.name.toLowerCase() === wanted && codec.clockRate === clockRate);
}

/** The codec of a static payload type (RFC 3551), for m-lines that leave out `a=rtpmap`. */
export function findStaticAudioCodec(payloadType: number): AudioCodec | undefined {
  return AUDIO_CODECS.find((codec) => codec.payloadType === payloadType);
}
