import type { AudioCodec } from './codec.js';
import { PCMA, PCMU } from './g711.js';
import { G722 } from './g722.js';
import { OPUS } from './opus.js';

/**
 * All audio codecs, in the order in which we offer them to phones. Each can be decoded into a mix, encoded for a phone
 * and, if it has a payload type for them, forwarded to browsers.
 */
export const AUDIO_CODECS: readonly AudioCodec[] = [OPUS, G722, PCMU, PCMA];

/** Finds a codec by its SDP encoding name (case does not matter) and clock rate. */
export function findAudioCodec(
  name: string,
  clockRate: number,
  among: readonly AudioCodec[] = AUDIO_CODECS,
): AudioCodec | undefined {
  const wanted = name.toLowerCase();
  return among.find((codec) => codec.name.toLowerCase() === wanted && codec.clockRate === clockRate);
}

/** The codec of a static payload type (RFC 3551), for m-lines that leave out `a=rtpmap`. */
export function findStaticAudioCodec(
  payloadType: number,
  among: readonly AudioCodec[] = AUDIO_CODECS,
): AudioCodec | undefined {
  return among.find((codec) => codec.payloadType === payloadType);
}

/** The codecs with these names, in this order; all if undefined. Unknown names are ignored. */
export function audioCodecsNamed(names: readonly string[] | undefined): readonly AudioCodec[] {
  if (names === undefined) return AUDIO_CODECS;
  return names.flatMap((name) => AUDIO_CODECS.filter((codec) => codec.name === name));
}
