import { isIP } from 'node:net';
import ipaddr from 'ipaddr.js';
import type { MediaDescription, SessionDescription } from 'sdp-transform';
import { findStaticAudioCodec } from '../../codecs/index.js';
import { type Direction, integer, parseLines, type SdpLimits, splitLines, text } from '../../sdp/index.js';
import { MediaError } from '../../types.js';

/** Longest description that is read; a phone's is about 1 KiB. */
export const MAX_SDP = 64 * 1024;
const LIMITS: SdpLimits = { length: MAX_SDP, lines: 8_192, lineLength: MAX_SDP, sections: 32 };
const MAX_FORMATS = 64;

/** One payload format of an m-line. */
export interface RemoteFormat {
  readonly payloadType: number;
  /** Encoding name as written; empty for a static payload type without `a=rtpmap`. */
  readonly name: string;
  readonly clockRate: number;
  readonly fmtp?: string;
}

/** One m-line of a phone's description, with what it inherits from the session level. */
export interface RemoteSection {
  readonly kind: string;
  /** In upper case. */
  readonly protocol: string;
  /** Media, transport and formats as the phone wrote them: what the m-line of the answer repeats. */
  readonly written: WrittenLine;
  readonly mid?: string;
  /** 0: the phone refused or switched off the m-line, or its address or port cannot be used. */
  readonly port: number;
  /** Why it cannot be used, though the phone did not switch it off. */
  readonly fault?: string;
  /** Undefined when the phone gave a host name or nothing: it must be heard before anything is sent. */
  readonly address?: string;
  readonly ipVersion: 4 | 6;
  /** c=0.0.0.0: hold in the way of RFC 2543 (RFC 3264 section 8.4). */
  readonly nullAddress: boolean;
  readonly direction: Direction;
  readonly formats: readonly RemoteFormat[];
  readonly ptime?: number;
  readonly maxptime?: number;
  readonly rtcpMux: boolean;
  /** Explicit RTCP destination (RFC 3605). */
  readonly rtcp?: { readonly port: number; readonly address?: string };
  readonly crypto: readonly RemoteCrypto[];
}

/** The parts of an m-line (RFC 8866 section 5.14). */
interface WrittenLine {
  readonly media: string;
  readonly port: string;
  readonly protocol: string;
  readonly formats: string;
}

/** `a=crypto` (RFC 4568 section 9.1) as written. */
export interface RemoteCrypto {
  readonly tag: number;
  readonly suite: string;
  readonly keyParams: string;
  readonly sessionParams?: string;
}

/** A phone’s offer or answer: its m-lines in order. */
export interface RemoteDescription {
  readonly sections: readonly RemoteSection[];
}

/**
 * Reads what Patchbay needs of a phone's SDP.
 * @throws MediaError BAD_SDP
 */
export function readRemoteDescription(sdp: string): RemoteDescription {
  const lines = splitLines(sdp, LIMITS).map(tidyLine);
  if (lines.find((line) => line !== '')?.startsWith('v=0') !== true)
    throw new MediaError('BAD_SDP', 'A session description starts with v=0.');
  const session = parseLines(lines, LIMITS);
  const written = lines.filter((line) => line.startsWith('m=')).map(readMediaLine);
  const sections = session.media.map((media, index) => readSection(session, media, written[index]!));
  const fault = sections.find((section) => section.kind === 'audio' && section.fault !== undefined)?.fault;
  if (fault !== undefined && switchesAudioOff({ sections })) throw new MediaError('BAD_SDP', fault);
  return { sections };
}

/** Whether a description has audio m-lines, all of them switched off by port 0. */
export function switchesAudioOff({ sections }: RemoteDescription): boolean {
  const audio = sections.filter(({ kind }) => kind === 'audio');
  return audio.length > 0 && audio.every(({ port }) => port === 0);
}

/** An attribute's name, and the white space around it that a phone may have put there. */
const ATTRIBUTE = /^a=[ ]?([\w-]+)[ ]?(:?)[ ]?/;

/** A line without superfluous white space, and in lower case the names that the parser looks for. */
function tidyLine(line: string): string {
  const tidy = line.replace(/\s+/g, ' ').trim();
  if (tidy.startsWith('a='))
    return tidy.replace(ATTRIBUTE, (_all, name: string, colon: string) => `a=${name.toLowerCase()}${colon}`);
  return /^c= ?in ip/i.test(tidy)
    ? `c=${tidy
        .slice(2)
        .trim()
        .replace(/^in ip/i, 'IN IP')}`
    : tidy;
}

/**
 * Missing parts get defaults, since the answer needs an m-line for each of the offer (RFC 3264 section 6).
 */
function readMediaLine(line: string): WrittenLine {
  const [media = '', port = '', protocol = 'RTP/AVP', ...formats] = line.slice(2).trim().split(' ');
  return {
    media: media === '' ? 'application' : media,
    port,
    protocol,
    formats: formats.length === 0 ? '0' : formats.join(' '),
  };
}

type Media = SessionDescription['media'][number];

function readSection(session: SessionDescription, media: Media, written: WrittenLine): RemoteSection {
  const connection = media.connection ?? session.connection;
  const address = text(connection?.ip).split('/')[0]!;
  const ipVersion = isIP(address) === 6 || connection?.version === 6 ? 6 : 4;
  const nullAddress = address === '0.0.0.0' || address === '::';
  const believed = isIP(address) !== 0 && !nullAddress && isUnicast(address);
  const ptime = milliseconds(media.ptime ?? attribute(session, 'ptime'));
  const maxptime = milliseconds(media.maxptime ?? attribute(session, 'maxptime'));
  // <port>/<number of ports>: the first port is used.
  const mediaPort = port(written.port.split('/', 1)[0]!);
  const fault = faultOf(mediaPort, written, isIP(address) !== 0 && !nullAddress && !believed ? address : '');
  return {
    kind: written.media.toLowerCase(),
    protocol: written.protocol.toUpperCase(),
    written,
    port: fault === undefined ? mediaPort! : 0,
    ...(fault === undefined ? {} : { fault }),
    ipVersion,
    nullAddress,
    direction: media.direction ?? sessionDirection(session) ?? 'sendrecv',
    formats: readFormats(media, written.formats),
    rtcpMux: media.rtcpMux !== undefined,
    crypto: readCrypto(media),
    ...(media.mid === undefined ? {} : { mid: text(media.mid) }),
    ...(believed ? { address } : {}),
    ...(ptime === undefined ? {} : { ptime }),
    ...(maxptime === undefined ? {} : { maxptime }),
    ...readRtcp(media),
  };
}

function faultOf(
  mediaPort: number | undefined,
  written: WrittenLine,
  badAddress: string,
): string | undefined {
  if (mediaPort === undefined) return `${written.port} is not a port.`;
  if (mediaPort !== 0 && badAddress !== '') return `Media cannot be sent to ${badAddress}.`;
  return undefined;
}

function sessionDirection(session: SessionDescription): Direction | undefined {
  return (session as Partial<MediaDescription>).direction;
}

function attribute(session: SessionDescription, name: 'ptime' | 'maxptime'): unknown {
  return (session as Partial<MediaDescription>)[name];
}

function readFormats(media: Media, written: string): RemoteFormat[] {
  const payloadTypes = written
    .split(' ')
    .filter((text) => /^\d{1,3}$/.test(text))
    .map(Number)
    .filter((payloadType) => payloadType <= 127);
  return [...new Set(payloadTypes)].slice(0, MAX_FORMATS).map((payloadType) => {
    const map = media.rtp.find((rtp) => rtp.payload === payloadType);
    const fmtp = media.fmtp.find((line) => line.payload === payloadType)?.config;
    const name = text(map?.codec);
    return {
      payloadType,
      name,
      // Its RTP clock is 8000 Hz by an old mistake (RFC 3551 section 4.5.2), but some write its true sample rate.
      clockRate: /^g722$/i.test(name) ? 8000 : integer(map?.rate),
      ...(fmtp === undefined ? {} : { fmtp: text(fmtp) }),
    };
  });
}

function readCrypto(media: Media): RemoteCrypto[] {
  return (media.crypto ?? []).slice(0, MAX_FORMATS).map((line) => ({
    tag: integer(line.id),
    suite: text(line.suite).toUpperCase(),
    keyParams: text(line.config),
    ...(line.sessionConfig === undefined ? {} : { sessionParams: text(line.sessionConfig) }),
  }));
}

function readRtcp(media: Media): Pick<RemoteSection, 'rtcp'> {
  if (!media.rtcp) return {};
  const rtcpPort = port(text(media.rtcp.port)) ?? 0;
  const address = text(media.rtcp.address);
  // An invalid port counts as missing.
  if (rtcpPort === 0) return {};
  return { rtcp: { port: rtcpPort, ...(isIP(address) !== 0 && isUnicast(address) ? { address } : {}) } };
}

function port(value: string): number | undefined {
  return /^\d{1,5}$/.test(value) && Number(value) <= 65535 ? Number(value) : undefined;
}

function milliseconds(value: unknown): number | undefined {
  const number = Number(value);
  return Number.isFinite(number) && number > 0 ? number : undefined;
}

function isUnicast(address: string): boolean {
  // An IPv4-mapped IPv6 address counts as the IPv4 address.
  const plain = ipaddr.process(address).toString();
  if (isIP(plain) === 6) return !/^ff/i.test(plain);
  const first = Number(plain.split('.')[0]);
  return first > 0 && first < 224;
}

/** An answer or a log line lists at most this many names. */
const MAX_NAMES = 16;
const MAX_NAME_LENGTH = 32;

/** Static payload types (RFC 3551 section 6) that phones still offer, but that the gateway has no codec for. */
const OTHER_STATIC = new Map([
  [3, 'GSM'],
  [4, 'G723'],
  [18, 'G729'],
]);

/** Names of the audio codecs in a phone's offer, without DTMF events and comfort noise; empty if it cannot be read. */
export function offeredAudioCodecs(sdp: string): readonly string[] {
  try {
    const formats = readRemoteDescription(sdp)
      .sections.filter(({ kind }) => kind === 'audio')
      .flatMap((section) => section.formats);
    const names = formats.map(nameOf).filter((name) => !/^(?:telephone-event|CN)$/i.test(name));
    return [...new Set(names)].slice(0, MAX_NAMES);
  } catch (error) {
    if (error instanceof MediaError) return [];
    throw error;
  }
}

function nameOf({ name, payloadType }: RemoteFormat): string {
  if (name !== '') return name.slice(0, MAX_NAME_LENGTH);
  return (
    findStaticAudioCodec(payloadType)?.name ?? OTHER_STATIC.get(payloadType) ?? `payload type ${payloadType}`
  );
}
