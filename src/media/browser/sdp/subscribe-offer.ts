import type { MediaKind } from '../../types.js';
import { encoding } from '../../sdp/index.js';
import { type ForwardedCodec, PLACEHOLDER } from '../codecs.js';
import type { TransportDescription } from '../transport/transport.js';
import { SEND_TIME_ID } from '../forward/downlink.js';
import {
  ABS_SEND_TIME_EXTENSION,
  joinLines,
  sessionLines,
  type SessionLines,
  transportLines,
} from './writer.js';

/** The track that an m-line carries. */
export interface OfferedTrack {
  readonly streamId: string;
  readonly codec: ForwardedCodec;
  readonly ssrc: number;
  readonly rtxSsrc: number;
}

export interface OfferedSection {
  readonly mid: string;
  readonly kind: MediaKind;
  /** Absent: the m-line is inactive, kept for the next track. */
  readonly track?: OfferedTrack;
  /** The m-line is given up. */
  readonly withdrawn?: boolean;
}

interface SubscribeOfferOptions {
  readonly sections: readonly OfferedSection[];
  /** Mids of those that are not given up; all use the transport of the first (RFC 9143 section 7.2). */
  readonly bundle: readonly string[];
  readonly transport: TransportDescription;
  readonly session: Omit<SessionLines, 'bundle'>;
}

const FEEDBACK: Record<MediaKind, readonly string[]> = {
  audio: [],
  video: ['nack', 'nack pli', 'ccm fir', 'goog-remb'],
};

/** Writes the offer that a browser subscribes by: all m-lines, each with the one codec that its track has. */
export function writeSubscribeOffer(options: SubscribeOfferOptions): string {
  const { sections, bundle, transport, session } = options;
  return joinLines([
    ...sessionLines({ ...session, bundle }),
    ...sections.flatMap((section) => {
      if (section.withdrawn === true) return withdrawnLines(section);
      return section.track
        ? sendingLines(section, section.track, transport)
        : inactiveLines(section, transport);
    }),
  ]);
}

function withdrawnLines({ mid, kind }: OfferedSection): string[] {
  const codec = PLACEHOLDER[kind];
  return [
    `m=${kind} 0 UDP/TLS/RTP/SAVPF ${codec.payloadType}`,
    'c=IN IP4 0.0.0.0',
    `a=mid:${mid}`,
    'a=inactive',
    `a=rtpmap:${codec.payloadType} ${encoding(codec)}`,
  ];
}

function inactiveLines({ mid, kind }: OfferedSection, transport: TransportDescription): string[] {
  const codec = PLACEHOLDER[kind];
  return [
    `m=${kind} 9 UDP/TLS/RTP/SAVPF ${codec.payloadType}`,
    ...transportLines(transport),
    `a=mid:${mid}`,
    'a=inactive',
    'a=rtcp-mux',
    'a=rtcp-rsize',
    `a=rtpmap:${codec.payloadType} ${encoding(codec)}`,
  ];
}

function sendingLines(
  { mid, kind }: OfferedSection,
  track: OfferedTrack,
  transport: TransportDescription,
): string[] {
  const formats = formatLines(track.codec);
  return [
    `m=${kind} 9 UDP/TLS/RTP/SAVPF ${formats.map(({ payloadType }) => payloadType).join(' ')}`,
    ...transportLines(transport),
    `a=mid:${mid}`,
    'a=sendonly',
    `a=msid:${track.streamId} ${track.streamId}-${kind}`,
    'a=rtcp-mux',
    'a=rtcp-rsize',
    ...(kind === 'video' ? [`a=extmap:${SEND_TIME_ID} ${ABS_SEND_TIME_EXTENSION}`] : []),
    ...formats.flatMap(({ lines }) => lines),
    ...sourceLines(track),
  ];
}

function formatLines(codec: ForwardedCodec): { payloadType: number; lines: string[] }[] {
  const { kind, payloadType, rtxPayloadType, telephoneEventPayloadType, clockRate, fmtp } = codec;
  const formats = [
    {
      payloadType,
      lines: [
        `a=rtpmap:${payloadType} ${encoding(codec)}`,
        ...(fmtp === undefined ? [] : [`a=fmtp:${payloadType} ${fmtp}`]),
        ...FEEDBACK[kind].map((feedback) => `a=rtcp-fb:${payloadType} ${feedback}`),
      ],
    },
  ];
  if (rtxPayloadType !== undefined) {
    formats.push({
      payloadType: rtxPayloadType,
      lines: [`a=rtpmap:${rtxPayloadType} rtx/${clockRate}`, `a=fmtp:${rtxPayloadType} apt=${payloadType}`],
    });
  }
  if (telephoneEventPayloadType !== undefined) {
    formats.push({
      payloadType: telephoneEventPayloadType,
      lines: [
        `a=rtpmap:${telephoneEventPayloadType} telephone-event/${clockRate}`,
        `a=fmtp:${telephoneEventPayloadType} 0-15`,
      ],
    });
  }
  return formats;
}

/** One CNAME for both tracks of a stream: the browser keeps them in step (RFC 3550 section 6.5.1). */
function sourceLines({ streamId, codec, ssrc, rtxSsrc }: OfferedTrack): string[] {
  const cname = (source: number): string => `a=ssrc:${source} cname:${streamId}`;
  if (codec.rtxPayloadType === undefined) return [cname(ssrc)];
  return [`a=ssrc-group:FID ${ssrc} ${rtxSsrc}`, cname(ssrc), cname(rtxSsrc)];
}
