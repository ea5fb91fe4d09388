/** Offers and answers of browsers, checked and reduced to the parts that are used. */
import type { MediaDescription, SessionDescription } from 'sdp-transform';
import { findStaticAudioCodec } from '../../codecs/index.js';
import { type Direction, parseLines, type SdpLimits, splitLines, text } from '../../sdp/index.js';
import type { TrackCodec } from '../../track.js';
import { MediaError } from '../../types.js';
import type { MediaKind } from '../../types.js';
import type { DtlsSetup, TransportDescription } from '../transport/transport.js';

/** Twenty m-lines of video are 87 kB from Chromium (2,520 lines of at most 127 bytes) and 38 kB from Firefox. */
export const MAX_SDP_LENGTH = 256 * 1024;
const LIMITS: SdpLimits = { length: MAX_SDP_LENGTH, lines: 8_192, lineLength: 4_096, sections: 128 };
/** Groups that are read. */
const MAX_GROUPS = 8;
/**
 * Most `a=rtcp-fb` values of a payload type, and sources and header extensions of an m-line, that are read.
 */
const MAX_FEEDBACK = 32;
const MAX_SOURCES = 64;
const MAX_EXTENSIONS = 64;

/** One payload type of an m-line. */
export interface Format extends TrackCodec {
  readonly payloadType: number;
  /** `a=rtcp-fb` values for it, such as `nack pli`. */
  readonly feedback: readonly string[];
}

/** What m-lines of any kind have. */
interface AnySection {
  /** Its place among the m-lines. */
  readonly index: number;
  /** Empty when it has none. */
  readonly mid: string;
  /** It shares the transport of {@link Description.transport}. */
  readonly bundled: boolean;
  /** Port 0: the sender has given the section up, or refuses it. */
  readonly rejected: boolean;
}

export interface MediaSection extends AnySection {
  readonly kind: MediaKind;
  readonly direction: Direction;
  readonly msid?: { readonly stream: string; readonly track: string };
  readonly formats: readonly Format[];
  /** Header extension ids by URI. */
  readonly extensions: ReadonlyMap<string, number>;
  /** Declared SSRCs, in order. */
  readonly ssrcs: readonly number[];
  /** SSRC of retransmissions by SSRC of what they repeat (`a=ssrc-group:FID`). */
  readonly rtxSsrcs: ReadonlyMap<number, number>;
  /** SSRCs of layers that it sends side by side, from the smallest picture to the largest (`a=ssrc-group:SIM`). */
  readonly layerSsrcs?: readonly number[];
  /** Id of the largest of the layers that it offers to send (RFC 8853). */
  readonly bestLayer?: string;
}

export interface OtherSection extends AnySection {
  readonly kind: 'data' | 'unknown';
  /** What an answer must repeat of the m-line. */
  readonly type: string;
  readonly protocol: string;
  readonly payloads: string;
}

export type Section = MediaSection | OtherSection;

export interface Description {
  readonly sections: readonly Section[];
  /** There is a BUNDLE group (RFC 9143). */
  readonly grouped: boolean;
  /**
   * That of the group; without one, that of the first live m-line, preferably of media. Absent when all are
   * rejected.
   */
  readonly transport?: TransportDescription;
  readonly origin: Origin;
}

/** What the `o=` line tells of the browser. */
export interface Origin {
  /**
   * Firefox: it never starts another DTLS association on a transport, not even when a new fingerprint with
   * new ICE credentials asks for one (RFC 8842 section 4).
   */
  readonly keepsDtls: boolean;
  /** This is the browser's first description for the connection. */
  readonly first: boolean;
}

export const isMedia = (section: Section): section is MediaSection =>
  section.kind === 'audio' || section.kind === 'video';

/**
 * Parses a browser's offer or answer.
 * @throws MediaError BAD_SDP, with a message that says what is wrong
 */
export function parseDescription(sdp: string): Description {
  const session = parseLines(usedLines(sdp), LIMITS);
  const sections = session.media.map(readSection);
  requireDistinctMids(sections);
  const group = readGroup(session, sections);
  const live = sections.filter(({ rejected }) => !rejected);
  const bundled = group ?? [...live.filter(isMedia), ...live].slice(0, 1);
  const first = bundled[0];
  return {
    sections: sections.map((section) => ({ ...section, bundled: bundled.includes(section) })),
    grouped: group !== undefined,
    origin: readOrigin(session.origin),
    ...(first ? { transport: readTransport(session, session.media[first.index]!) } : {}),
  };
}

/**
 * The live m-lines of the first BUNDLE group that has any, in its order: all use the transport of the first.
 */
function readGroup(
  session: SessionDescription,
  sections: readonly Section[],
): readonly Section[] | undefined {
  const live = new Map(sections.filter(({ rejected }) => !rejected).map((section) => [section.mid, section]));
  live.delete('');
  return (session.groups ?? [])
    .filter(({ type }) => type === 'BUNDLE')
    .slice(0, MAX_GROUPS)
    .map(({ mids }) => [...new Set(text(mids).split(' '))].flatMap((mid) => live.get(mid) ?? []))
    .find((members) => members.length > 0);
}

/** What Firefox calls itself in all its descriptions. */
const FIREFOX = /^mozilla/;

/** Against its types, the parser gives no origin for an SDP without one. */
function readOrigin(origin: SessionDescription['origin'] | undefined): Origin {
  return { keepsDtls: FIREFOX.test(text(origin?.username)), first: origin?.sessionVersion === 0 };
}

/** Attributes that are read; all others, such as candidates, are not even parsed. */
const USED: ReadonlySet<string> = new Set([
  ...['rtpmap', 'fmtp', 'rtcp-fb', 'extmap', 'mid', 'msid', 'ssrc', 'ssrc-group', 'bundle-only', 'group'],
  ...['rid', 'simulcast'],
  ...['ice-ufrag', 'ice-pwd', 'fingerprint', 'setup', 'sendrecv', 'sendonly', 'recvonly', 'inactive'],
]);
const ATTRIBUTE_NAME = /^[a-z-]{1,16}/;

/** The origin, the m-lines and the attributes that are used. */
const usedLines = (sdp: string): string[] =>
  splitLines(sdp, LIMITS).filter(
    (line) =>
      line.startsWith('m=') ||
      line.startsWith('o=') ||
      (line.startsWith('a=') && USED.has(ATTRIBUTE_NAME.exec(line.slice(2, 18))?.[0] ?? '')),
  );

function requireDistinctMids(sections: readonly Section[]): void {
  const live = sections.flatMap(({ rejected, mid }) => (rejected || mid === '' ? [] : [mid]));
  if (new Set(live).size !== live.length) throw new MediaError('BAD_SDP', 'Two m-lines have the same a=mid.');
}

/** Mids are copied into our SDP, so they must be tokens; any length is allowed (RFC 5888 section 4). */
const MID = /^[A-Za-z0-9_.~!#$%&'*+^`{|}-]+$/;

function readSection(media: MediaDescription, index: number): Section {
  // Without bundle-only, port 0 is a rejection (RFC 9143 section 7.1.3).
  const rejected = media.port === 0 && media.bundleOnly === undefined;
  const mid = text(media.mid);
  // An m-line without a mid is known by its index (RFC 8829 section 5.10).
  if (!rejected && mid !== '' && !MID.test(mid))
    throw new MediaError('BAD_SDP', 'An m-line has an a=mid that is not a token.');
  const kind = text(media.type);
  if (kind === 'audio' || kind === 'video')
    return readMedia(media, kind, { index, mid, rejected, bundled: false });
  return {
    kind: kind === 'application' && /SCTP/.test(text(media.protocol)) ? 'data' : 'unknown',
    index,
    mid,
    rejected,
    bundled: false,
    type: kind,
    protocol: text(media.protocol),
    payloads: text(media.payloads ?? '0'),
  };
}

function readMedia(media: MediaDescription, kind: MediaKind, place: AnySection): MediaSection {
  const msid = readMsid(media);
  const ssrcs = distinct(
    (media.ssrcs ?? []).map(({ id }) => id >>> 0),
    MAX_SOURCES,
  );
  const rtxSsrcs = readRtxSsrcs(media);
  for (const ssrc of rtxSsrcs.values()) ssrcs.delete(ssrc);
  const layerSsrcs = readGroups(media, 'SIM')[0];
  const bestLayer = readBestLayer(media);
  return {
    ...place,
    kind,
    direction: media.direction ?? 'sendrecv',
    ...(msid ? { msid } : {}),
    formats: readFormats(media),
    extensions: new Map(
      (media.ext ?? []).slice(0, MAX_EXTENSIONS).map(({ uri, value }) => [text(uri), value]),
    ),
    ssrcs: [...ssrcs],
    rtxSsrcs,
    ...(layerSsrcs === undefined ? {} : { layerSsrcs }),
    ...(bestLayer === undefined ? {} : { bestLayer }),
  };
}

const RID = /^[A-Za-z0-9_-]{1,255}$/;

/**
 * Encodings are listed from the smallest picture to the largest (`RTCRtpEncodingParameters`); of
 * alternatives, the first is preferred (RFC 8853 section 5.1). A layer that is restricted to some payload
 * types is not asked for.
 */
function readBestLayer({ simulcast, rids }: MediaDescription): string | undefined {
  if (simulcast === undefined) return undefined;
  const { dir1, list1, dir2, list2 } = simulcast;
  const list = dir1 === 'send' ? list1 : dir2 === 'send' ? list2 : undefined;
  const rid = text(list).split(';').at(-1)!.split(',')[0]!.replace(/^~/, '');
  const declared = rids?.find(({ id, direction }) => text(id) === rid && direction === 'send');
  return declared && declared.params === undefined && RID.test(rid) ? rid : undefined;
}

function distinct<T>(values: Iterable<T>, limit: number): Set<T> {
  const found = new Set<T>();
  for (const value of values) {
    if (found.size >= limit) break;
    found.add(value);
  }
  return found;
}

/** Firefox puts braces around its ids. RFC 8830 section 2 allows them, but the SDP library does not. */
const MSID = /^msid:(\S{1,256})(?: (\S{1,256}))?$/;

function readMsid(media: MediaDescription): MediaSection['msid'] {
  const declared = media.msid?.[0];
  if (declared) return { stream: text(declared.id), track: text(declared.appdata) };
  const unread = media.invalid?.map(({ value }) => MSID.exec(text(value))).find((match) => match !== null);
  if (unread) return { stream: unread[1]!, track: text(unread[2]) };
  const [stream, track] = text(media.ssrcs?.find(({ attribute }) => attribute === 'msid')?.value).split(' ');
  return stream ? { stream, track: text(track) } : undefined;
}

function readRtxSsrcs(media: MediaDescription): Map<number, number> {
  const pairs = readGroups(media, 'FID').filter((ssrcs) => ssrcs.length === 2);
  return new Map(pairs.map(([primary, rtx]) => [primary!, rtx!]));
}

/** SSRCs of the m-line's groups with these semantics (RFC 5576 section 4.2). */
function readGroups(media: MediaDescription, semantics: string): number[][] {
  return (media.ssrcGroups ?? [])
    .filter((group) => group.semantics === semantics)
    .slice(0, MAX_SOURCES)
    .map(({ ssrcs }) =>
      text(ssrcs)
        .split(' ', MAX_SOURCES)
        .map((ssrc) => Number(ssrc) >>> 0),
    );
}

function readFormats(media: MediaDescription): Format[] {
  const maps = new Map(media.rtp.map((rtp) => [rtp.payload, rtp]));
  const fmtps = new Map(media.fmtp.map(({ payload, config }) => [payload, text(config)]));
  const feedbacks = readFeedback(media);
  // Without duplicates, since each format costs work.
  const payloadTypes = new Set(text(media.payloads).split(' ').map(Number));
  return [...payloadTypes].flatMap((payloadType) => {
    if (!(payloadType >= 0 && payloadType <= 127)) return [];
    const map = maps.get(payloadType);
    const fixed = findStaticAudioCodec(payloadType);
    const name = map ? text(map.codec) : fixed?.name;
    const clockRate = map?.rate ?? fixed?.clockRate;
    if (name === undefined || clockRate === undefined) return [];
    const fmtp = fmtps.get(payloadType);
    return [
      {
        payloadType,
        name,
        clockRate,
        channels: map?.encoding ?? 1,
        ...(fmtp === undefined ? {} : { fmtp }),
        feedback: [...(feedbacks.get(String(payloadType)) ?? []), ...(feedbacks.get('*') ?? [])],
      },
    ];
  });
}

/** `a=rtcp-fb` values by payload type as it is written, `*` for all of the m-line. */
function readFeedback(media: MediaDescription): ReadonlyMap<string, ReadonlySet<string>> {
  const feedbacks = new Map<string, Set<string>>();
  for (const { payload, type, subtype } of media.rtcpFb ?? []) {
    const values = feedbacks.get(text(payload)) ?? new Set();
    feedbacks.set(text(payload), values);
    if (values.size < MAX_FEEDBACK) values.add(subtype === undefined ? type : `${type} ${subtype}`);
  }
  return feedbacks;
}

const ICE_UFRAG = /^[A-Za-z0-9+/=_-]{4,256}$/;
const ICE_PWD = /^[A-Za-z0-9+/=_-]{22,256}$/;
const FINGERPRINT = /^[0-9A-Fa-f]{2}(:[0-9A-Fa-f]{2}){19,63}$/;
const SETUP: ReadonlySet<string> = new Set<DtlsSetup>(['active', 'passive', 'actpass']);

/**
 * The browser's candidates are ignored on purpose: its connectivity checks show its address, and so an SDP
 * cannot make us send to other hosts or resolve names.
 */
function readTransport(session: SessionDescription, media: MediaDescription): TransportDescription {
  const iceUfrag = text(media.iceUfrag ?? session.iceUfrag);
  const icePwd = text(media.icePwd ?? session.icePwd);
  const fingerprint = media.fingerprint ?? session.fingerprint;
  const setup = media.setup ?? session.setup ?? '';
  if (!ICE_UFRAG.test(iceUfrag) || !ICE_PWD.test(icePwd)) {
    throw new MediaError('BAD_SDP', 'The SDP has no valid ICE credentials.');
  }
  if (!fingerprint || !FINGERPRINT.test(text(fingerprint.hash))) {
    throw new MediaError('BAD_SDP', 'The SDP has no valid DTLS fingerprint.');
  }
  if (!SETUP.has(setup)) throw new MediaError('BAD_SDP', 'The SDP has no valid a=setup.');
  return {
    iceUfrag,
    icePwd,
    fingerprint: `${fingerprint.type} ${fingerprint.hash}`,
    setup: setup as DtlsSetup,
    candidates: [],
  };
}
