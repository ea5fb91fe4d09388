import type { AudioCodec } from '../../codecs/index.js';
import { AUDIO_CODECS, findAudioCodec, findStaticAudioCodec } from '../../codecs/index.js';
import { MediaError } from '../../types.js';
import type { PeerAddress } from '../peer-search.js';
import { chooseCrypto } from './crypto.js';
import type { SessionCrypto } from './crypto.js';
import type { Direction } from './direction.js';
import { sends } from './direction.js';
import type { RemoteDescription, RemoteFormat, RemoteSection } from './remote-description.js';

/** Packet lengths, in ms, that a phone may ask for; Opus has no frames of 30 ms. */
const PTIMES = [10, 20, 30, 40, 60] as const;
const OPUS_PTIMES = [10, 20, 40, 60] as const;
const DEFAULT_PTIME = 20;

/** RTP profiles that are spoken here; the ones with feedback only differ in what they allow. */
const PLAIN_PROFILES: readonly string[] = ['RTP/AVP', 'RTP/AVPF'];
const SECURE_PROFILES: readonly string[] = ['RTP/SAVP', 'RTP/SAVPF'];

/** What phone and gateway agreed on; replaced as a whole by every offer and answer. */
export interface AudioSession {
  readonly codec: AudioCodec;
  readonly payloadType: number;
  readonly fmtp?: string;
  /** RFC 4733 payload types by clock rate; empty when the phone has none. */
  readonly telephoneEvents: ReadonlyMap<number, number>;
  /** RFC 3389 payload types: tolerated, not played. */
  readonly comfortNoise: ReadonlySet<number>;
  /** Packet length that we send, in ms. */
  readonly ptime: number;
  /** From the phone's view. */
  readonly direction: Direction;
  /** The phone does not want to hear. */
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
 * Chooses the m-line to be used: the first live audio one that fits, encrypted ones before plain ones.
 * @param codecs those that may be agreed on
 * @throws MediaError NO_COMMON_CODEC
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
  throw new MediaError('NO_COMMON_CODEC', whyNothingFits(sections, codecs));
}

/** Whether an m-line is of an SRTP profile. */
export const isSecure = (section: RemoteSection): boolean => SECURE_PROFILES.includes(section.protocol);

function isSpoken(section: RemoteSection): boolean {
  return (
    PLAIN_PROFILES.includes(section.protocol) || (isSecure(section) && chooseCrypto(section) !== undefined)
  );
}

function whyNothingFits(audio: readonly RemoteSection[], codecs: readonly AudioCodec[]): string {
  if (audio.length === 0) return 'The phone offers no audio.';
  if (!audio.some((section) => chooseCodec(section, codecs)))
    return 'No audio codec of the phone is known here.';
  const profiles = [...new Set(audio.map(({ protocol }) => protocol))].join(', ');
  return audio.some(isSecure)
    ? 'No crypto suite of the phone is known here.'
    : `The transport ${profiles} is not spoken here.`;
}

/** @throws MediaError NO_COMMON_CODEC */
export function agreeOn(section: RemoteSection, codecs: readonly AudioCodec[] = AUDIO_CODECS): AudioSession {
  const chosen = chooseCodec(section, codecs);
  if (!chosen) throw new MediaError('NO_COMMON_CODEC', 'No audio codec of the phone is known here.');
  const direction = section.nullAddress ? withoutReceiving(section.direction) : section.direction;
  const crypto = isSecure(section) ? chooseCrypto(section) : undefined;
  return {
    codec: chosen.codec,
    payloadType: chosen.format.payloadType,
    ...(chosen.format.fmtp === undefined ? {} : { fmtp: chosen.format.fmtp }),
    telephoneEvents: new Map(
      named(section, 'telephone-event').map(({ clockRate, payloadType }) => [clockRate, payloadType]),
    ),
    comfortNoise: new Set([13, ...named(section, 'CN').map(({ payloadType }) => payloadType)]),
    ptime: choosePtime(section, chosen.codec),
    direction,
    held: direction === 'inactive' || direction === 'sendonly',
    rtcpMux: section.rtcpMux,
    ...(crypto === undefined ? {} : { crypto }),
    ...peersOf(section),
  };
}

/** Whether the phone is expected to send audio, so that its silence means something. */
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

/** The phone's first codec that is known here: the offer's order is the phone's preference (RFC 3264 section 6.1). */
function chooseCodec(
  section: RemoteSection,
  codecs: readonly AudioCodec[],
): { format: RemoteFormat; codec: AudioCodec } | undefined {
  for (const format of section.formats) {
    const codec =
      format.name === ''
        ? findStaticAudioCodec(format.payloadType, codecs)
        : findAudioCodec(format.name, format.clockRate, codecs);
    if (codec) return { format, codec };
  }
  return undefined;
}

function named(section: RemoteSection, name: string): RemoteFormat[] {
  return section.formats.filter((format) => format.name.toLowerCase() === name.toLowerCase());
}

/** The longest packet that is within what the phone asks for. */
function choosePtime(section: RemoteSection, codec: AudioCodec): number {
  const wanted = Math.min(section.ptime ?? DEFAULT_PTIME, section.maxptime ?? Infinity);
  const ptimes = codec.name === 'opus' ? OPUS_PTIMES : PTIMES;
  return ptimes.findLast((ptime) => ptime <= wanted) ?? ptimes[0];
}

/** The hold of RFC 2543: the phone may go on sending, but has no address to be sent to. */
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
