import type { VideoCodec } from './codec.js';

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
