import type { AudioCodec } from '../../codecs/index.js';
import { encoding, reverse } from '../../sdp/index.js';
import type { MasterKey, SrtpSuite } from '../../srtp/index.js';
import {
  type AudioChoice,
  type AudioSession,
  type OfferedFormats,
  telephoneEventFor,
} from './audio-session.js';
import { cryptoLine } from './crypto.js';
import type { RemoteDescription, RemoteSection } from './remote-description.js';

/** Digits, star, pound and A to D. */
const DTMF_EVENTS = '0-15';
const FIRST_DYNAMIC = 96;

/** Where the gateway receives a phone's media. */
export interface LocalEnd {
  readonly address: string;
  readonly port: number;
  readonly sessionId: string;
  /** Grows with every description sent (RFC 3264 section 8). */
  readonly version: number;
  /** Our key for a crypto suite. */
  readonly keyFor: (suite: SrtpSuite) => MasterKey;
  /** Phones are asked to use DTX (RFC 7587 section 6.1). */
  readonly opusDtx?: boolean;
}

/** Answers an offer: accepts the chosen m-line, if any, and refuses all others by port 0. */
export function writeAnswer(
  end: LocalEnd,
  offer: RemoteDescription,
  choice: Pick<AudioChoice, 'index'> | undefined,
  session: AudioSession,
): string {
  const sections = offer.sections.map((section, index) =>
    index === choice?.index ? answerSection(end, section, session) : refuse(section),
  );
  return writeLines([...sessionLines(end), ...sections.flat()]);
}

/** Writes an offer of these formats that keeps the call's encryption and RTCP multiplexing. */
export function writeOffer(
  end: LocalEnd,
  session: AudioSession | undefined,
  { codecs, telephoneEvents }: OfferedFormats,
): string {
  const formats = [
    ...[...codecs].map(([codec, payloadType]) => codecFormat(end, codec, payloadType)),
    ...[...telephoneEvents].map(([clockRate, payloadType]) => eventFormat(payloadType, clockRate)),
    ...noiseFormats(session),
  ];
  return writeLines([
    ...sessionLines(end),
    `m=audio ${end.port} ${session?.crypto ? 'RTP/SAVP' : 'RTP/AVP'} ${payloadTypes(formats)}`,
    ...formats.flatMap(formatLines),
    ...cryptoLines(end, session),
    'a=ptime:20',
    ...(session?.rtcpMux === true ? ['a=rtcp-mux'] : []),
    `a=rtcp:${end.port + 1}`,
    'a=sendrecv',
  ]);
}

const payloadTypes = (formats: readonly LocalFormat[]): string =>
  formats.map(({ payloadType }) => payloadType).join(' ');

interface LocalFormat {
  readonly payloadType: number;
  /** `name/clockRate[/channels]`. */
  readonly map: string;
  readonly fmtp?: string;
}

const formatLines = ({ payloadType, map, fmtp }: LocalFormat): string[] => [
  `a=rtpmap:${payloadType} ${map}`,
  ...(fmtp === undefined ? [] : [`a=fmtp:${payloadType} ${fmtp}`]),
];

function answerSection(end: LocalEnd, section: RemoteSection, session: AudioSession): string[] {
  const event = telephoneEventFor(session);
  const formats: LocalFormat[] = [
    codecFormat(end, session.codec, session.payloadType),
    ...(event ? [eventFormat(event.payloadType, event.clockRate)] : []),
    ...noiseFormats(session),
  ];
  return [
    `m=${section.written.media} ${end.port} ${section.written.protocol} ${payloadTypes(formats)}`,
    ...(section.mid === undefined ? [] : [`a=mid:${section.mid}`]),
    ...formats.flatMap(formatLines),
    ...cryptoLines(end, session),
    `a=ptime:${session.ptime}`,
    session.rtcpMux ? 'a=rtcp-mux' : `a=rtcp:${end.port + 1}`,
    `a=${reverse(session.direction)}`,
  ];
}

function cryptoLines(end: LocalEnd, session: AudioSession | undefined): string[] {
  if (!session?.crypto) return [];
  const { tag, suite } = session.crypto;
  return [cryptoLine(tag, suite, end.keyFor(suite))];
}

function refuse({ written, mid }: RemoteSection): string[] {
  return [
    `m=${written.media} 0 ${written.protocol} ${written.formats}`,
    ...(mid === undefined ? [] : [`a=mid:${mid}`]),
  ];
}

function codecFormat({ opusDtx = false }: LocalEnd, codec: AudioCodec, payloadType: number): LocalFormat {
  const fmtp = codec.receiveFmtp?.('phone', opusDtx);
  return { payloadType, map: encoding(codec), ...(fmtp === undefined ? {} : { fmtp }) };
}

const eventFormat = (payloadType: number, clockRate: number): LocalFormat => ({
  payloadType,
  map: `telephone-event/${clockRate}`,
  fmtp: DTMF_EVENTS,
});

/** Comfort noise, which we never ask for, but keep once the phone did. */
const noiseFormats = (session: AudioSession | undefined): LocalFormat[] =>
  session?.sentComfortNoise === undefined ? [] : [{ payloadType: session.sentComfortNoise, map: 'CN/8000' }];

/**
 * The formats to offer: the allowed codecs. Within a call the present codec comes first, and payload types
 * are kept.
 */
export function formatsToOffer(
  session: AudioSession | undefined,
  allowed: readonly AudioCodec[],
): OfferedFormats {
  const known = session?.offered;
  const used = new Set<number>([
    ...(known?.codecs.values() ?? []),
    ...(known?.telephoneEvents.values() ?? []),
    ...(session?.sentComfortNoise === undefined ? [] : [session.sentComfortNoise]),
  ]);
  const dynamic = (preferred: number): number => {
    let payloadType = preferred;
    while (used.has(payloadType)) payloadType += 1;
    used.add(payloadType);
    return payloadType;
  };
  const present = session?.codec;
  const codecs = [...(present ? [present] : []), ...allowed.filter((codec) => codec !== present)];
  return {
    codecs: new Map(
      codecs.map((codec) => [codec, known?.codecs.get(codec) ?? codec.payloadType ?? dynamic(FIRST_DYNAMIC)]),
    ),
    telephoneEvents: new Map(
      [8000, 48000].map((clockRate) => [clockRate, known?.telephoneEvents.get(clockRate) ?? dynamic(101)]),
    ),
  };
}

function sessionLines(end: LocalEnd): string[] {
  const family = end.address.includes(':') ? 'IP6' : 'IP4';
  return [
    'v=0',
    `o=patchbay ${end.sessionId} ${end.version} IN ${family} ${end.address}`,
    's=patchbay',
    `c=IN ${family} ${end.address}`,
    't=0 0',
  ];
}

const writeLines = (lines: readonly string[]): string => lines.map((line) => `${line}\r\n`).join('');
