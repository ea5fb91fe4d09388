import { isIP } from 'node:net';
import ipaddr from 'ipaddr.js';
import { parse } from 'sdp-transform';
import type { MediaDescription, SessionDescription } from 'sdp-transform';
import { MediaError } from '../../types.js';
import type { Direction } from './direction.js';

/** Longest description read: a phone's is about 1 KiB. */
export const MAX_SDP = 64 * 1024;
const MAX_SECTIONS = 32;
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
  readonly protocol: string;
  /** The format list as written, to be sent back when the m-line is refused. */
  readonly payloads: string;
  readonly mid?: string;
  /** 0: the phone refused or switched off the m-line. */
  readonly port: number;
  /** Undefined when the phone gave a name or nothing: it must be heard before anything is sent. */
  readonly address?: string;
  readonly ipVersion: 4 | 6;
  /** c=0.0.0.0 (RFC 3264 section 8.4): on hold, the way of RFC 2543. */
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
  if (sdp.length > MAX_SDP) throw new MediaError('BAD_SDP', 'The session description is too long.');
  const session = parseSdp(sdp);
  if (!/^v=0/.test(sdp.trimStart()))
    throw new MediaError('BAD_SDP', 'A session description starts with v=0.');
  if (session.media.length === 0) throw new MediaError('BAD_SDP', 'The session description has no m-line.');
  if (session.media.length > MAX_SECTIONS) {
    throw new MediaError('BAD_SDP', `The session description has more than ${MAX_SECTIONS} m-lines.`);
  }
  return { sections: session.media.map((media) => readSection(session, media)) };
}

function parseSdp(sdp: string): SessionDescription {
  try {
    return parse(sdp);
  } catch (error) {
    throw new MediaError('BAD_SDP', 'The session description cannot be read.', { cause: error });
  }
}

type Media = SessionDescription['media'][number];

function readSection(session: SessionDescription, media: Media): RemoteSection {
  const connection = media.connection ?? session.connection;
  const address = text(connection?.ip).split('/')[0]!;
  const ipVersion = isIP(address) === 6 || connection?.version === 6 ? 6 : 4;
  const nullAddress = address === '0.0.0.0' || address === '::';
  const believed = isIP(address) !== 0 && !nullAddress && isUnicast(address);
  if (isIP(address) !== 0 && !nullAddress && !believed) {
    throw new MediaError('BAD_SDP', `Media cannot be sent to ${address}.`);
  }
  const ptime = milliseconds(media.ptime ?? attribute(session, 'ptime'));
  const maxptime = milliseconds(media.maxptime ?? attribute(session, 'maxptime'));
  return {
    kind: text(media.type),
    protocol: text(media.protocol),
    payloads: text(media.payloads),
    port: port(media.port),
    ipVersion,
    nullAddress,
    direction: media.direction ?? sessionDirection(session) ?? 'sendrecv',
    formats: readFormats(media),
    rtcpMux: media.rtcpMux !== undefined,
    crypto: readCrypto(media),
    ...(media.mid === undefined ? {} : { mid: text(media.mid) }),
    ...(believed ? { address } : {}),
    ...(ptime === undefined ? {} : { ptime }),
    ...(maxptime === undefined ? {} : { maxptime }),
    ...readRtcp(media),
  };
}

function sessionDirection(session: SessionDescription): Direction | undefined {
  return (session as Partial<MediaDescription>).direction;
}

function attribute(session: SessionDescription, name: 'ptime' | 'maxptime'): unknown {
  return (session as Partial<MediaDescription>)[name];
}

function readFormats(media: Media): RemoteFormat[] {
  const payloadTypes = text(media.payloads)
    .split(/\s+/)
    .filter((text) => /^\d{1,3}$/.test(text))
    .map(Number)
    .filter((payloadType) => payloadType <= 127);
  return [...new Set(payloadTypes)].slice(0, MAX_FORMATS).map((payloadType) => {
    const map = media.rtp.find((rtp) => rtp.payload === payloadType);
    const fmtp = media.fmtp.find((line) => line.payload === payloadType)?.config;
    return {
      payloadType,
      name: text(map?.codec),
      clockRate: integer(map?.rate),
      ...(fmtp === undefined ? {} : { fmtp: text(fmtp) }),
    };
  });
}

function readCrypto(media: Media): RemoteCrypto[] {
  return (media.crypto ?? []).slice(0, MAX_FORMATS).map((line) => ({
    tag: integer(line.id),
    suite: text(line.suite),
    keyParams: text(line.config),
    ...(line.sessionConfig === undefined ? {} : { sessionParams: text(line.sessionConfig) }),
  }));
}

function readRtcp(media: Media): Pick<RemoteSection, 'rtcp'> {
  if (!media.rtcp) return {};
  const rtcpPort = port(media.rtcp.port);
  const address = text(media.rtcp.address);
  if (rtcpPort === 0) return {};
  return { rtcp: { port: rtcpPort, ...(isIP(address) !== 0 && isUnicast(address) ? { address } : {}) } };
}

function port(value: unknown): number {
  const number = Number(value);
  if (!Number.isInteger(number) || number < 0 || number > 65535) {
    throw new MediaError('BAD_SDP', `${text(value)} is no port.`);
  }
  return number;
}

// The parser's types promise more than a hostile description keeps: a field may be missing, or turned into a number.
function text(value: unknown): string {
  return typeof value === 'string' ? value : typeof value === 'number' ? value.toString() : '';
}

function integer(value: unknown): number {
  return Number.isInteger(Number(value)) ? Number(value) : 0;
}

function milliseconds(value: unknown): number | undefined {
  const number = Number(value);
  return Number.isFinite(number) && number > 0 ? number : undefined;
}

function isUnicast(address: string): boolean {
  // An IPv4 address inside an IPv6 one is what it is by itself.
  const plain = ipaddr.process(address).toString();
  if (isIP(plain) === 6) return !/^ff/i.test(plain);
  const first = Number(plain.split('.')[0]);
  return first > 0 && first < 224;
}
