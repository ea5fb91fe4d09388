/** How codecs are forwarded to browsers: the codec table's payload types, and which formats are the same codec. */
import { AUDIO_CODECS, VIDEO_CODECS } from '../codecs/index.js';
import { fmtpParameter } from '../sdp/index.js';
import type { TrackCodec } from '../track.js';
import type { MediaKind } from '../types.js';

/** A codec as every subscriber sees it: the same payload types for all, so that one packet serves them all. */
export interface ForwardedCodec extends TrackCodec {
  readonly kind: MediaKind;
  readonly payloadType: number;
  /** Video: payload type of retransmissions (RFC 4588). */
  readonly rtxPayloadType?: number;
  /** Audio: payload type of RFC 4733 events at the codec's clock rate. */
  readonly telephoneEventPayloadType?: number;
}

const TELEPHONE_EVENT_48000 = 110;
const TELEPHONE_EVENT_8000 = 126;

const FORWARDED: readonly ForwardedCodec[] = [
  ...AUDIO_CODECS.flatMap(({ name, clockRate, channels, browserPayloadType, receiveFmtp }) =>
    browserPayloadType === undefined
      ? []
      : {
          kind: 'audio' as const,
          name,
          clockRate,
          channels,
          payloadType: browserPayloadType,
          telephoneEventPayloadType: clockRate === 48_000 ? TELEPHONE_EVENT_48000 : TELEPHONE_EVENT_8000,
          ...(receiveFmtp === undefined ? {} : { fmtp: receiveFmtp('browser', false) }),
        },
  ),
  ...VIDEO_CODECS.map((codec) => ({ kind: 'video' as const, ...codec })),
];

/** The codec that an m-line without a track names, since it has to name one. */
export const PLACEHOLDER: Record<MediaKind, ForwardedCodec> = {
  audio: FORWARDED.find(({ kind }) => kind === 'audio')!,
  video: FORWARDED.find(({ kind }) => kind === 'video')!,
};

/** Values of profile_idc and of profile-iop, under a mask, that mean one profile, and how we write it. */
const H264_PROFILES = [
  { idc: 0x42, mask: 0x4f, iop: 0x40, written: '42e0' },
  { idc: 0x4d, mask: 0x8f, iop: 0x80, written: '42e0' },
  { idc: 0x58, mask: 0xcf, iop: 0xc0, written: '42e0' },
  { idc: 0x42, mask: 0x4f, iop: 0x00, written: '4200' },
  { idc: 0x58, mask: 0xcf, iop: 0x80, written: '4200' },
  { idc: 0x4d, mask: 0xaf, iop: 0x00, written: '4d00' },
  { idc: 0x64, mask: 0xff, iop: 0x00, written: '6400' },
  // Constrained High (H.264 A.2.4.2).
  { idc: 0x64, mask: 0xff, iop: 0x0c, written: '640c' },
] as const;

/** The same profile is written in several ways (RFC 6184 table 5), such as Constrained Baseline as 42e0, 42c0 or 4de0. */
function h264Profile(profileLevelId: string): string {
  const bytes = profileLevelId.slice(0, 4).toLowerCase();
  const [idc, iop] = [Number.parseInt(bytes.slice(0, 2), 16), Number.parseInt(bytes.slice(2), 16)];
  const profile = H264_PROFILES.find((known) => known.idc === idc && (iop & known.mask) === known.iop);
  return profile?.written ?? bytes;
}

/** Tells variants of a codec apart: packets of one do not decode as another. */
function variant(codec: TrackCodec): string {
  switch (codec.name.toUpperCase()) {
    case 'H264': {
      // RFC 6184 section 8.1: without parameters, Baseline and single NAL units.
      const profile = h264Profile(fmtpParameter(codec.fmtp, 'profile-level-id') ?? '42000a');
      return `${profile}/${fmtpParameter(codec.fmtp, 'packetization-mode') ?? '0'}`;
    }
    case 'VP9':
      return fmtpParameter(codec.fmtp, 'profile-id') ?? '0';
    case 'AV1':
      return fmtpParameter(codec.fmtp, 'profile') ?? '0';
    default:
      return '';
  }
}

const VARIANTS: ReadonlyMap<ForwardedCodec, string> = new Map(
  FORWARDED.map((codec) => [codec, variant(codec)]),
);

/** Whether every browser decodes this variant of the codec, so that publishers are asked for it. */
export function takenByAll(codec: TrackCodec): boolean {
  switch (codec.name.toUpperCase()) {
    case 'H264':
      // RFC 7742 section 6.2: Constrained Baseline, and Chromium and Safari want several NAL units in one packet.
      return variant(codec) === '42e0/1';
    case 'VP9':
      return variant(codec) === '0';
    default:
      return true;
  }
}

/** How a published codec is forwarded; undefined for one that we do not forward. */
export function forwardedCodec(kind: MediaKind, codec: TrackCodec): ForwardedCodec | undefined {
  const name = codec.name.toUpperCase();
  const sameName = FORWARDED.filter(
    (known) =>
      known.kind === kind && known.name.toUpperCase() === name && known.clockRate === codec.clockRate,
  );
  if (sameName.length === 0) return undefined;
  // Computed once, since it parses the publisher's parameters.
  const wanted = variant(codec);
  return sameName.find((known) => VARIANTS.get(known) === wanted);
}
