/** What we accept of a browser's publish offer, and the answer that says so. */
import { findAudioCodec } from '../../codecs/index.js';
import { encoding, fmtpParameter, sends } from '../../sdp/index.js';
import { forwardedCodec, takenByAll } from '../codecs.js';
import { MAX_DATA_MESSAGE } from '../transport/transport.js';
import type { TransportDescription } from '../transport/transport.js';
import type { MediaKind, RefusedTrack } from '../../types.js';
import { isMedia } from './description.js';
import type { Description, Format, MediaSection, Section } from './description.js';
import {
  AUDIO_LEVEL_EXTENSION,
  joinLines,
  MID_EXTENSION,
  REPAIRED_RID_EXTENSION,
  RID_EXTENSION,
  sessionLines,
  TRANSPORT_CC_EXTENSION,
  transportLines,
} from './writer.js';
import type { SessionLines } from './writer.js';

/** An m-line that we take. */
export interface AcceptedMedia {
  readonly section: MediaSection;
  /** The browser sends on it now; otherwise it is kept idle. */
  readonly receiving: boolean;
  readonly codec: Format;
  /** Retransmissions of {@link codec} (RFC 4588). */
  readonly rtx?: Format;
  readonly telephoneEvent?: Format;
}

/** Tracks that one device may publish at a time; each has buffers behind it. */
const MAX_TRACKS = 32;

const NACK = 'nack';
const TRANSPORT_CC = 'transport-cc';
/** RTCP feedback that we send to publishers, in the order of the answer. */
const FEEDBACK: Record<MediaKind, readonly string[]> = {
  audio: [TRANSPORT_CC],
  video: [NACK, 'nack pli', 'ccm fir', 'goog-remb', TRANSPORT_CC],
};
const EXTENSIONS: readonly string[] = [
  MID_EXTENSION,
  TRANSPORT_CC_EXTENSION,
  AUDIO_LEVEL_EXTENSION,
  RID_EXTENSION,
  REPAIRED_RID_EXTENSION,
];

/**
 * Accepts sections of an allowed kind, with the codec that the browser lists first; at most one audio and one
 * video track for each stream. All other tracks that are sent are refused, with the reason.
 */
export function acceptOffer(
  offer: Description,
  allowedKinds: readonly MediaKind[],
): { accepted: AcceptedMedia[]; refused: RefusedTrack[] } {
  const taken = new Set<string>();
  const accepted: AcceptedMedia[] = [];
  const refused: RefusedTrack[] = [];
  for (const section of offer.sections) {
    if (!isMedia(section) || section.rejected) continue;
    const slot = `${section.kind} ${streamKey(section)}`;
    const media =
      (allowedKinds.includes(section.kind) ? undefined : 'not permitted') ??
      (section.bundled ? undefined : 'outside the BUNDLE group') ??
      (sends(section.direction) ? obstacle(slot, taken) : undefined) ??
      acceptSection(section);
    if (typeof media !== 'string') {
      if (media.receiving) taken.add(slot);
      accepted.push(media);
    } else if (sends(section.direction)) refused.push(refusal(section, media));
  }
  return { accepted, refused };
}

function obstacle(slot: string, taken: ReadonlySet<string>): string | undefined {
  if (taken.has(slot)) return 'the stream has a track of this kind already';
  return taken.size >= MAX_TRACKS ? `more than ${String(MAX_TRACKS)} tracks` : undefined;
}

const refusal = ({ kind, msid }: MediaSection, reason: string): RefusedTrack => ({
  ...(msid === undefined || msid.stream === '-' ? {} : { publisherMsid: msid.stream }),
  kind,
  reason,
});

/** The key by which tracks form streams: the msid's stream id; a track without one is a stream of its own. */
export function streamKey({ msid, mid, index }: MediaSection): string {
  return msid === undefined || msid.stream === '-'
    ? `mid:${mid === '' ? `/${String(index)}` : mid}`
    : msid.stream;
}

/** @returns the reason, as text, if it cannot be accepted */
function acceptSection(section: MediaSection): AcceptedMedia | string {
  const codec = chosenFormat(section);
  if (!codec) return 'no codec that is forwarded';
  const rtx = section.formats.find(
    (format) =>
      format.name.toLowerCase() === 'rtx' && fmtpParameter(format.fmtp, 'apt') === String(codec.payloadType),
  );
  const telephoneEvent = section.formats.find(
    (format) => format.name.toLowerCase() === 'telephone-event' && format.clockRate === codec.clockRate,
  );
  const receiving = sends(section.direction);
  return {
    section,
    receiving,
    codec,
    ...(rtx ? { rtx } : {}),
    ...(telephoneEvent ? { telephoneEvent } : {}),
  };
}

/**
 * The codec that the browser lists first, if possible in the variant that all subscribers decode: Safari does
 * not take Chromium's first variant of H.264, and Firefox may show nothing of its first variant of VP9.
 */
function chosenFormat({ kind, formats }: MediaSection): Format | undefined {
  const forwarded = formats.filter((format) => forwardedCodec(kind, format) !== undefined);
  const first = forwarded[0];
  const name = first?.name.toUpperCase();
  return forwarded.find((format) => format.name.toUpperCase() === name && takenByAll(format)) ?? first;
}

interface PublishAnswerOptions {
  readonly offer: Description;
  readonly accepted: readonly AcceptedMedia[];
  readonly acceptData: boolean;
  /** Asks for Opus that stops in silence (DTX), also where the offer does not. */
  readonly opusDtx?: boolean;
  /** Absent when nothing is accepted. */
  readonly transport?: TransportDescription;
  readonly session: Omit<SessionLines, 'bundle'>;
}

export function writePublishAnswer(options: PublishAnswerOptions): string {
  const { offer, accepted, acceptData, opusDtx = false, transport, session } = options;
  const bySection = new Map<Section, AcceptedMedia>(accepted.map((media) => [media.section, media]));
  const live = (section: Section): boolean =>
    !section.rejected &&
    (bySection.has(section) || (acceptData && section.bundled && section.kind === 'data'));
  // Only what was offered may be in a group (RFC 9143 section 7.3).
  const bundle = offer.grouped ? offer.sections.filter(live).map(({ mid }) => mid) : [];
  const sections = offer.sections.flatMap((section) => {
    const media = bySection.get(section);
    if (!transport || !live(section)) return rejectedLines(section);
    return media ? mediaLines(media, transport, opusDtx) : dataLines(section, transport);
  });
  return joinLines([...sessionLines({ ...session, bundle }), ...sections]);
}

const midLines = ({ mid }: Section): string[] => (mid === '' ? [] : [`a=mid:${mid}`]);

function rejectedLines(section: Section): string[] {
  const mid = midLines(section);
  if (isMedia(section)) {
    const payloads = section.formats.map(({ payloadType }) => payloadType).join(' ') || '0';
    return [`m=${section.kind} 0 UDP/TLS/RTP/SAVPF ${payloads}`, 'c=IN IP4 0.0.0.0', 'a=inactive', ...mid];
  }
  return [`m=${section.type} 0 ${section.protocol} ${section.payloads}`, 'c=IN IP4 0.0.0.0', ...mid];
}

function dataLines(section: Section, transport: TransportDescription): string[] {
  return [
    'm=application 9 UDP/DTLS/SCTP webrtc-datachannel',
    ...transportLines(transport),
    ...midLines(section),
    'a=sctp-port:5000',
    `a=max-message-size:${String(MAX_DATA_MESSAGE)}`,
  ];
}

function mediaLines(media: AcceptedMedia, transport: TransportDescription, opusDtx: boolean): string[] {
  const { section, codec, rtx, telephoneEvent } = media;
  const formats = [codec, ...(rtx ? [rtx] : []), ...(telephoneEvent ? [telephoneEvent] : [])];
  return [
    `m=${section.kind} 9 UDP/TLS/RTP/SAVPF ${formats.map(({ payloadType }) => payloadType).join(' ')}`,
    ...transportLines(transport),
    ...midLines(section),
    media.receiving ? 'a=recvonly' : 'a=inactive',
    'a=rtcp-mux',
    'a=rtcp-rsize',
    ...layerLines(section),
    ...EXTENSIONS.flatMap((uri) => {
      const id = section.extensions.get(uri);
      return id === undefined ? [] : [`a=extmap:${String(id)} ${uri}`];
    }),
    ...formats.flatMap((format) => formatLines(section.kind, format, format === codec, opusDtx)),
  ];
}

/** Asks for the largest of several layers; otherwise browsers send only the first, which is the smallest. */
function layerLines({ bestLayer }: MediaSection): string[] {
  return bestLayer === undefined ? [] : [`a=rid:${bestLayer} recv`, `a=simulcast:recv ${bestLayer}`];
}

function formatLines(kind: MediaKind, format: Format, isCodec: boolean, opusDtx: boolean): string[] {
  const payloadType = String(format.payloadType);
  const fmtp = answeredParameters(format, opusDtx);
  const feedback = isCodec ? FEEDBACK[kind].filter((value) => format.feedback.includes(value)) : [];
  return [
    `a=rtpmap:${payloadType} ${encoding(format)}`,
    ...(fmtp === undefined ? [] : [`a=fmtp:${payloadType} ${fmtp}`]),
    ...feedback.map((value) => `a=rtcp-fb:${payloadType} ${value}`),
  ];
}

/** The parameters that we want to receive by; for formats other than our audio codecs, the browser's own. */
function answeredParameters({ name, clockRate, fmtp }: Format, opusDtx: boolean): string | undefined {
  return findAudioCodec(name, clockRate)?.receiveFmtp?.('browser', opusDtx, fmtp) ?? fmtp;
}
