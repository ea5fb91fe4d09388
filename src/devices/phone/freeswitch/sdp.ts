import { type MediaDescription, parse, write } from 'sdp-transform';
import { AUDIO_CODECS, type Direction, type MediaStreamInfo, type PhoneAudio } from '../../../media/index.js';

type Section = MediaDescription & { type: string };

/** Codec names by static payload type, which needs no rtpmap (RFC 3551 section 6). */
const STATIC_CODECS = new Map(AUDIO_CODECS.map(({ payloadType, name }) => [payloadType, name]));

/** In upper case. Must match `sip-config/freeswitch/vars.xml`. */
const USABLE_CODECS: ReadonlySet<string> = new Set(AUDIO_CODECS.map(({ name }) => name.toUpperCase()));

/** Phones from before RFC 3264 hold by `c=0.0.0.0`. */
const NOWHERE = '0.0.0.0';

/** The discard port (RFC 863), for media that are not sent. */
const DISCARD_PORT = 9;

function audioSection(sections: readonly Section[]): Section | undefined {
  return sections.find(({ type, port }) => type === 'audio' && port !== 0);
}

/** The direction of the first audio section. */
export function directionOf(sdp: string): Direction {
  const session = parse(sdp);
  const audio = audioSection(session.media);
  const direction: Direction = audio?.direction ?? session.direction ?? 'sendrecv';
  const address = (audio?.connection ?? session.connection)?.ip;
  if (address !== NOWHERE) return direction;
  return direction === 'sendrecv' || direction === 'sendonly' ? 'sendonly' : 'inactive';
}

/** The same SDP with that direction. */
export function withDirection(sdp: string, direction: Direction): string {
  const session = parse(sdp);
  delete session.direction;
  for (const section of session.media) section.direction = direction;
  return write(session);
}

/** The same SDP with media going to `address`. */
export function withAddress(sdp: string, address: string): string {
  const session = parse(sdp);
  const connection = { version: address.includes(':') ? 6 : 4, ip: address } as const;
  session.connection = connection;
  for (const section of session.media) delete section.connection;
  return write(session);
}

/** The preferred codec of the first audio section, or none. */
export function firstCodec(sdp: string): string | undefined {
  const audio = audioSection(parse(sdp).media);
  const first = audio && payloadTypes(audio)[0];
  return first === undefined ? undefined : codecOf(audio!, first);
}

/** The same SDP with that codec first, if it has it. */
export function preferring(sdp: string, codec: string | undefined): string {
  const session = parse(sdp);
  const audio = audioSection(session.media);
  if (!audio || codec === undefined) return sdp;
  const wanted = (type: number): boolean => codecOf(audio, type)?.toLowerCase() === codec.toLowerCase();
  const types = payloadTypes(audio);
  const rest = types.filter((type) => !wanted(type));
  audio.payloads = [...types.filter(wanted), ...rest].join(' ');
  return write(session);
}

/** Keeps one audio section: FreeSWITCH's own offers have one with SRTP and one without on the same port. */
export function plainAudioOnly(sdp: string): string {
  const session = parse(sdp);
  const plain = plainAudio(session.media);
  if (plain) session.media = [plain];
  return write(session);
}

/** Answers an offer with its first section without SRTP, inactive for the time being. */
export function nothingYet(offer: string): string {
  const session = parse(offer);
  const plain = plainAudio(session.media);
  for (const section of session.media) {
    delete section.crypto;
    section.port = section === plain ? DISCARD_PORT : 0;
    section.direction = 'inactive';
  }
  return write(session);
}

/** Whether there is unencrypted audio that the FreeSWITCH of `sip-config/` can use. */
export function hasUsableAudio(sdp: string): boolean {
  const plain = plainAudio(parse(sdp).media);
  return (
    plain !== undefined &&
    plain.port !== 0 &&
    payloadTypes(plain).some((type) => USABLE_CODECS.has(codecOf(plain, type)?.toUpperCase() ?? ''))
  );
}

/** Whether the SDP has DTMF events (RFC 4733). */
export function hasTelephoneEvent(sdp: string): boolean {
  return /^a=rtpmap:\d+ telephone-event\//im.test(sdp);
}

/** The same SDP without DTMF events (RFC 4733). */
export function withoutTelephoneEvent(sdp: string): string {
  const session = parse(sdp);
  for (const section of session.media) {
    const events = section.rtp.filter(({ codec }) => codec.toLowerCase() === 'telephone-event');
    const isEvent = ({ payload }: { payload: number }): boolean =>
      events.some((event) => event.payload === payload);
    section.rtp = section.rtp.filter((format) => !isEvent(format));
    section.fmtp = section.fmtp.filter((format) => !isEvent(format));
    section.payloads = payloadTypes(section)
      .filter((payload) => !isEvent({ payload }))
      .join(' ');
  }
  return write(session);
}

/** How FreeSWITCH carries the phone's audio, according to its answer; undefined without an answer. */
export function audioOf(answer: string): PhoneAudio | undefined {
  const codec = firstCodec(answer)?.split('/')[0];
  if (codec === undefined) return undefined;
  const suite = /^a=crypto:\d+ (\S+)/m.exec(answer)?.[1];
  return { codec, encryption: suite ?? (isEncrypted(answer) ? 'DTLS-SRTP' : 'none') };
}

/** The phone's stream. FreeSWITCH may transcode: the codec of its leg to the plane is not the one that the phone sends. */
export function sentAs(audio: PhoneAudio | undefined, stream: MediaStreamInfo): MediaStreamInfo {
  return audio ? { ...stream, codecs: [audio.codec] } : stream;
}

/** Whether the media are encrypted, with keys in the SDP (RFC 4568) or by a DTLS handshake (RFC 5763). */
export function isEncrypted(sdp: string): boolean {
  return /^m=audio [1-9]\d* \S*SAVP|^a=(?:crypto|fingerprint):/im.test(sdp);
}

function plainAudio(sections: readonly Section[]): Section | undefined {
  return sections.find(({ type, protocol }) => type === 'audio' && protocol === 'RTP/AVP');
}

function payloadTypes(section: Section): number[] {
  // sdp-transform makes a single payload type a number, although its types say string.
  const payloads = section.payloads as string | number | undefined;
  return String(payloads ?? '')
    .split(' ')
    .filter(Boolean)
    .map(Number);
}

function codecOf(section: Section, payloadType: number): string | undefined {
  return section.rtp.find(({ payload }) => payload === payloadType)?.codec ?? STATIC_CODECS.get(payloadType);
}

/**
 * Gives all descriptions for a phone the same origin and a rising version (RFC 3264 section 8), whichever FreeSWITCH made
 * them.
 */
export class Origin {
  #version: number;
  #id: string | undefined;

  /** @param before of an earlier gateway, to go on with */
  constructor(before?: { readonly id: string; readonly version: number }) {
    this.#id = before?.id;
    this.#version = before?.version ?? 0;
  }

  /** Absent before the first description. */
  get state(): { id: string; version: number } | undefined {
    return this.#id === undefined ? undefined : { id: this.#id, version: this.#version };
  }

  next(sdp: string): string {
    const session = parse(sdp);
    this.#id ??= String(session.origin.sessionId);
    this.#version += 1;
    session.origin = {
      username: 'patchbay',
      // Kept as text: a number would lose digits of a 64-bit session id.
      sessionId: this.#id,
      sessionVersion: this.#version,
      netType: 'IN',
      ipVer: session.connection?.version ?? 4,
      address: session.connection?.ip ?? '127.0.0.1',
    };
    return write(session);
  }
}
