import type { AudioCodec, VideoCodec } from './codec.js';
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

const video = (name: string, payloadType: number, fmtp?: string): VideoCodec => ({
  name,
  clockRate: 90_000,
  channels: 1,
  payloadType,
  rtxPayloadType: payloadType + 1,
  ...(fmtp === undefined ? {} : { fmtp }),
});

const h264 = (payloadType: number, profile: string, packetizationMode: number): VideoCodec =>
  video(
    'H264',
    payloadType,
    `level-asymmetry-allowed=1;packetization-mode=${packetizationMode};profile-level-id=${profile}1f`,
  );

/** All video codecs that browsers may publish, with the payload types under which they are offered to the others. */
export const VIDEO_CODECS: readonly VideoCodec[] = [
  video('VP8', 96),
  video('VP9', 98, 'profile-id=0'),
  video('VP9', 100, 'profile-id=2'),
  h264(102, '4200', 1),
  h264(104, '4200', 0),
  h264(106, '42e0', 1),
  h264(108, '42e0', 0),
  h264(112, '4d00', 1),
  h264(114, '4d00', 0),
  h264(116, '6400', 1),
  h264(118, '6400', 0),
  video('AV1', 120),
  h264(122, '640c', 1),
  h264(124, '640c', 0),
];
