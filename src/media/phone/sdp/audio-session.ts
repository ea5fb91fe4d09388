import { AUDIO_CODECS, type AudioCodec, findAudioCodec, findStaticAudioCodec } from '../../codecs/index.js';
import { type Direction, sends } from '../../sdp/index.js';
import { MediaError, type PhoneAudio } from '../../types.js';
import type { PeerAddress } from '../peer-search.js';
import { chooseCrypto, type SessionCrypto } from './crypto.js';
import type { RemoteDescription, RemoteFormat, RemoteSection } from './remote-description.js';

const DEFAULT_PTIME = 20;
/** Its static payload type (RFC 3551 section 6), and its clock rate. */
const COMFORT_NOISE = 13;
const COMFORT_NOISE_RATE = 8000;

/** The supported RTP profiles; those with feedback (AVPF, SAVPF) only allow more RTCP. */
const PLAIN_PROFILES: readonly string[] = ['RTP/AVP', 'RTP/AVPF'];
const SECURE_PROFILES: readonly string[] = ['RTP/SAVP', 'RTP/SAVPF'];

/** The payload types of our offer, which the phone uses to send to us (RFC 3264 section 5.1). */
export interface OfferedFormats {
  readonly codecs: ReadonlyMap<AudioCodec, number>;
  /** RFC 4733 payload types by clock rate. */
  readonly telephoneEvents: ReadonlyMap<number, number>;
}

/** A codec that the phone may send at any time, with the parameters in its description. */
export interface ReceivedFormat {
  readonly codec: AudioCodec;
  readonly fmtp?: string;
}

/** What phone and gateway agreed on; replaced as a whole by every offer and answer. */
export interface AudioSession {
  /** What we send: the phone's preference. */
  readonly codec: AudioCodec;
  readonly payloadType: number;
  readonly fmtp?: string;
  /** RFC 4733 payload types that we send, by clock rate; empty when the phone has none. */
  readonly telephoneEvents: ReadonlyMap<number, number>;
  /** What the phone may send, by payload type. */
  readonly received: ReadonlyMap<number, ReceivedFormat>;
  /** Clock rates of the telephone events that the phone may send, by payload type. */
  readonly receivedEvents: ReadonlyMap<number, number>;
  /** Our payload types: they keep their meaning for the whole call (RFC 3264 section 8.3.2). */
  readonly offered: OfferedFormats;
  /** RFC 3389 payload types that the phone may send, whether agreed on or not. */
  readonly comfortNoise: ReadonlySet<number>;
  /** The one that it is sent; absent when it has none for the clock of the codec. */
  readonly sentComfortNoise?: number;
  /** Packet length that we send, in ms. */
  readonly ptime: number;
  /** As the phone sees it. */
  readonly direction: Direction;
  /** The phone does not want to receive audio. */
  readonly held: boolean;
  readonly peer?: PeerAddress;
  readonly rtcpPeer?: PeerAddress;
  readonly rtcpMux: boolean;
  /** Absent: plain RTP. */
  readonly crypto?: SessionCrypto;
}

/** Which m-line carries the phone's audio. */
export interface AudioChoice {
  readonly index: number;
  readonly section: RemoteSection;
}

/**
 * Chooses the m-line to use: the first audio m-line that is on and fits, an encrypted one before a plain one.
 * @param codecs those that may be agreed on
 * @throws MediaError NO_COMMON_CODEC, NO_COMMON_TRANSPORT
 */
export function chooseAudio(
  description: RemoteDescription,
  codecs: readonly AudioCodec[] = AUDIO_CODECS,
): AudioChoice {
  const audio = description.sections
    .map((section, index) => ({ section, index }))
    .filter(({ section }) => section.kind === 'audio' && section.port !== 0);
  const fitting = audio.filter(({ section }) => chooseCodec(section, codecs) && isSpoken(section));
  const choice = fitting.find(({ section }) => isSecure(section)) ?? fitting[0];
  if (choice) return choice;
  const sections = audio.map(({ section }) => section);
  throw whyNothingFits(sections, codecs);
}

/** Whether an m-line is of an SRTP profile. */
const isSecure = (section: RemoteSection): boolean => SECURE_PROFILES.includes(section.protocol);

function isSpoken(section: RemoteSection): boolean {
  return (
    PLAIN_PROFILES.includes(section.protocol) || (isSecure(section) && chooseCrypto(section) !== undefined)
  );
}

function noCommonCodec(codecs: readonly AudioCodec[]): MediaError {
  const known = codecs.map(({ name }) => name).join(', ');
  return new MediaError(
    'NO_COMMON_CODEC',
    `The phone offers no supported audio codec; supported are ${known}.`,
  );
}

function whyNothingFits(audio: readonly RemoteSection[], codecs: readonly AudioCodec[]): MediaError {
  if (audio.length === 0) return new MediaError('NO_COMMON_CODEC', 'The phone offers no audio.');
  if (!audio.some((section) => chooseCodec(section, codecs))) return noCommonCodec(codecs);
  if (audio.some(isSecure))
    return new MediaError('NO_COMMON_CODEC', 'The phone offers no supported crypto suite.');
  const profiles = [...new Set(audio.map(({ protocol }) => protocol))].join(', ');
  return new MediaError('NO_COMMON_TRANSPORT', `The transport ${profiles} is not supported.`);
}

/**
 * @param offered what the description answers; absent when it is an offer
 * @throws MediaError NO_COMMON_CODEC
 */
export function agreeOn(
  section: RemoteSection,
  codecs: readonly AudioCodec[] = AUDIO_CODECS,
  offered?: OfferedFormats,
): AudioSession {
  const chosen = chooseCodec(section, codecs);
  if (!chosen) throw noCommonCodec(codecs);
  const direction = section.nullAddress ? withoutReceiving(section.direction) : section.direction;
  const crypto = isSecure(section) ? chooseCrypto(section) : undefined;
  const telephoneEvents = new Map(
    named(section, 'telephone-event').map(({ clockRate, payloadType }) => [clockRate, payloadType]),
  );
  return {
    codec: chosen.codec,
    payloadType: chosen.format.payloadType,
    ...(chosen.format.fmtp === undefined ? {} : { fmtp: chosen.format.fmtp }),
    telephoneEvents,
    ...(offered ? receivedByOffer(section, codecs, offered) : receivedByAnswer(chosen, telephoneEvents)),
    ...comfortNoiseOf(section, chosen),
    ptime: choosePtime(section, chosen.codec),
    direction,
    held: direction === 'inactive' || direction === 'sendonly',
    rtcpMux: section.rtcpMux,
    ...(crypto === undefined ? {} : { crypto }),
    ...peersOf(section),
  };
}

/**
 * Whether the phone is on hold (RFC 3264 section 8.4): it no longer wants to receive. A phone that is
 * `sendonly` from the start, with an address, is a source of sound, such as an announcement.
 */
export const isOnHold = ({ held, direction, peer }: AudioSession, hasListened: boolean): boolean =>
  held && (hasListened || direction === 'inactive' || peer === undefined);

/** Whether the phone is expected to send audio, so that silence means a loss. */
export const expectsMedia = (session: AudioSession): boolean => !session.held && sends(session.direction);

/** The telephone-event payload type to send: at the codec's clock rate if the phone has it (RFC 4733 section 2.1). */
export function telephoneEventFor(
  session: AudioSession,
): { payloadType: number; clockRate: number } | undefined {
  for (const clockRate of [session.codec.clockRate, 8000]) {
    const payloadType = session.telephoneEvents.get(clockRate);
    if (payloadType !== undefined) return { payloadType, clockRate };
  }
  return undefined;
}

interface KnownFormat {
  readonly format: RemoteFormat;
  readonly codec: AudioCodec;
}

/**
 * The phone's first codec that is supported: the offer's order is the phone's preference (RFC 3264 section
 * 6.1).
 */
const chooseCodec = (section: RemoteSection, codecs: readonly AudioCodec[]): KnownFormat | undefined =>
  knownFormats(section, codecs)[0];

function knownFormats(section: RemoteSection, codecs: readonly AudioCodec[]): KnownFormat[] {
  return section.formats.flatMap((format) => {
    const codec =
      format.name === ''
        ? findStaticAudioCodec(format.payloadType, codecs)
        : findAudioCodec(format.name, format.clockRate, codecs);
    return codec ? [{ format, codec }] : [];
  });
}

type Received = Pick<AudioSession, 'received' | 'receivedEvents' | 'offered'>;

const receivedFormat = ({ codec, format: { fmtp } }: KnownFormat): ReceivedFormat => ({
  codec,
  ...(fmtp === undefined ? {} : { fmtp }),
});

/** Our answer has only the chosen codec, and the offer's payload types (RFC 3264 section 6.1). */
function receivedByAnswer(chosen: KnownFormat, telephoneEvents: ReadonlyMap<number, number>): Received {
  const { payloadType } = chosen.format;
  return {
    received: new Map([[payloadType, receivedFormat(chosen)]]),
    receivedEvents: new Map([...telephoneEvents].map(([clockRate, eventType]) => [eventType, clockRate])),
    offered: { codecs: new Map([[chosen.codec, payloadType]]), telephoneEvents },
  };
}

/**
 * The phone may send everything that we offered, by our payload types; many phones use those of their answer
 * instead. A payload type with two meanings gets the agreed one, ours first.
 */
function receivedByOffer(
  section: RemoteSection,
  codecs: readonly AudioCodec[],
  offered: OfferedFormats,
): Received {
  const answered = knownFormats(section, codecs);
  const events = named(section, 'telephone-event');
  const received = new Map<number, ReceivedFormat>();
  const receivedEvents = new Map<number, number>();
  const isFree = (payloadType: number | undefined): payloadType is number =>
    payloadType !== undefined && !received.has(payloadType) && !receivedEvents.has(payloadType);
  const take = (payloadType: number | undefined, format: ReceivedFormat): void => {
    if (isFree(payloadType)) received.set(payloadType, format);
  };
  const takeEvent = (payloadType: number | undefined, clockRate: number): void => {
    if (isFree(payloadType)) receivedEvents.set(payloadType, clockRate);
  };
  for (const known of answered) take(offered.codecs.get(known.codec), receivedFormat(known));
  for (const { clockRate } of events) takeEvent(offered.telephoneEvents.get(clockRate), clockRate);
  for (const known of answered) take(known.format.payloadType, receivedFormat(known));
  for (const { clockRate, payloadType } of events) takeEvent(payloadType, clockRate);
  for (const [codec, payloadType] of offered.codecs) take(payloadType, { codec });
  for (const [clockRate, payloadType] of offered.telephoneEvents) takeEvent(payloadType, clockRate);
  return { received, receivedEvents, offered };
}

function named(section: RemoteSection, name: string): RemoteFormat[] {
  return section.formats.filter((format) => format.name.toLowerCase() === name.toLowerCase());
}

/** With PCMU, PCMA and G.722. There is none for the clock of Opus, which has DTX of its own. */
function comfortNoiseOf(
  section: RemoteSection,
  { codec, format }: KnownFormat,
): Pick<AudioSession, 'comfortNoise' | 'sentComfortNoise'> {
  const described = named(section, 'CN');
  const sent = section.formats.find(
    (known) =>
      (known.payloadType === COMFORT_NOISE && known.name === '') ||
      (described.includes(known) && known.clockRate === codec.clockRate),
  );
  const isSent = sent && codec.clockRate === COMFORT_NOISE_RATE && sent.payloadType !== format.payloadType;
  return {
    comfortNoise: new Set([COMFORT_NOISE, ...described.map(({ payloadType }) => payloadType)]),
    ...(isSent && { sentComfortNoise: sent.payloadType }),
  };
}

/** The longest packet time of the codec that the phone allows. */
function choosePtime(section: RemoteSection, codec: AudioCodec): number {
  const wanted = Math.min(section.ptime ?? DEFAULT_PTIME, section.maxptime ?? Infinity);
  return codec.ptimes.findLast((ptime) => ptime <= wanted) ?? codec.ptimes[0]!;
}

/** Hold in the way of RFC 2543: the phone may still send, but has no address to receive at. */
function withoutReceiving(direction: Direction): Direction {
  return sends(direction) ? 'sendonly' : 'inactive';
}

function peersOf(section: RemoteSection): { peer?: PeerAddress; rtcpPeer?: PeerAddress } {
  const { address, port, rtcp } = section;
  if (address === undefined) return {};
  const rtcpPort = rtcp?.port ?? (port < 65535 ? port + 1 : undefined);
  return {
    peer: { address, port },
    ...(rtcpPort === undefined ? {} : { rtcpPeer: { address: rtcp?.address ?? address, port: rtcpPort } }),
  };
}

/** How a session's audio is carried, for people to read. */
export function audioOf({ codec, crypto, peer }: AudioSession): PhoneAudio {
  return {
    codec: codec.name,
    encryption: crypto?.suite.name ?? 'none',
    ...(peer && { remote: `${peer.address}:${peer.port}` }),
  };
}
