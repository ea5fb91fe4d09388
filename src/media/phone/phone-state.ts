import { createHash } from 'node:crypto';
import { type AudioCodec, findAudioCodec } from '../codecs/index.js';
import { findSrtpSuite } from '../srtp/index.js';
import { MediaError, type PhoneSource } from '../types.js';
import type { NegotiationState } from './negotiation.js';
import type { CryptoState } from './phone-crypto.js';
import type { IpVersion } from './ports.js';
import type { StreamState } from './rtp-sender.js';
import type { FoundPeer } from './rtp-socket.js';
import type { AudioSession, OfferedFormats, ReceivedFormat } from './sdp/audio-session.js';
import type { ConsentState } from './send-consent.js';

/** Version of the format. A state of another version is refused. */
const FORM = 1;

/** A longer text is written without the `a=fmtp` of what the phone may send, since the phone chooses its length. */
const MAX_LENGTH = 3072;

/** All that another process needs to go on with a phone's media. It contains keys. */
interface PhoneState {
  readonly streamId: string;
  readonly negotiation: NegotiationState;
  readonly port: number;
  readonly ipVersion: IpVersion;
  /** What the phone sends. */
  readonly received?: AudioCodec | undefined;
  readonly source?: PhoneSource | undefined;
  readonly found: FoundPeer;
  readonly consent: ConsentState;
  readonly stream: StreamState;
  readonly crypto: CryptoState;
}

/** What a process before has left of a phone: a state, and its age in ms. */
export interface PhoneBefore {
  readonly state: PhoneState;
  readonly ageMs: number;
  /** It was on another machine: its ports and addresses are not to be had here. */
  readonly isElsewhere: boolean;
}

type Pairs = readonly (readonly [number, number])[];
/** Codecs by name and clock rate. */
type CodecName = string;

interface WrittenFormats {
  readonly codecs: readonly (readonly [CodecName, number])[];
  readonly events: Pairs;
}

interface WrittenSession extends Omit<
  AudioSession,
  'codec' | 'telephoneEvents' | 'received' | 'receivedEvents' | 'offered' | 'comfortNoise' | 'crypto'
> {
  readonly codec: CodecName;
  readonly telephoneEvents: Pairs;
  readonly received: readonly (readonly [number, CodecName, string?])[];
  readonly receivedEvents: Pairs;
  readonly offered: WrittenFormats;
  readonly comfortNoise: readonly number[];
  readonly crypto?: {
    readonly tag: number;
    readonly suite: string;
    readonly key: string;
    readonly salt: string;
    readonly mkiLength: number;
  };
}

interface WrittenNegotiation extends Omit<NegotiationState, 'session' | 'offered'> {
  readonly session?: WrittenSession | undefined;
  readonly offered?: WrittenFormats | undefined;
}

interface WrittenState extends Omit<PhoneState, 'negotiation' | 'received'> {
  readonly negotiation: WrittenNegotiation;
  readonly received?: CodecName | undefined;
}

/** Writes a state as JSON. */
export function writePhoneState(state: PhoneState): string {
  const whole = write(state, true);
  return whole.length <= MAX_LENGTH ? whole : write(state, false);
}

/**
 * Reads a state.
 * @throws MediaError INVALID_STATE for a text of another version, or a damaged one
 */
export function readPhoneState(text: string): PhoneState {
  const { negotiation, received, ...rest } = readWritten(text);
  const { session, offered } = negotiation;
  return {
    ...rest,
    negotiation: {
      ...negotiation,
      session: session && readSession(session),
      offered: offered && readFormats(offered),
    },
    received: received === undefined ? undefined : readCodec(received),
  };
}

function write({ negotiation, received, ...rest }: PhoneState, withFormats: boolean): string {
  const { session, offered } = negotiation;
  const state: WrittenState = {
    ...rest,
    negotiation: {
      ...negotiation,
      session: session && writeSession(session, withFormats),
      offered: offered && writeFormats(offered),
    },
    received: received && nameOf(received),
  };
  const phone = JSON.stringify(state);
  return JSON.stringify({ form: FORM, digest: digestOf(phone), phone });
}

/** The digest proves that the text is intact, so its parts need no checks. */
function readWritten(text: string): WrittenState {
  try {
    const { form, digest, phone } = JSON.parse(text) as { form: unknown; digest: unknown; phone: unknown };
    if (form === FORM && typeof phone === 'string' && digest === digestOf(phone))
      return JSON.parse(phone) as WrittenState;
  } catch (error) {
    throw invalid({ cause: error });
  }
  throw invalid();
}

const digestOf = (text: string): string => createHash('sha256').update(text).digest('base64').slice(0, 16);

const invalid = (options?: ErrorOptions): MediaError =>
  new MediaError('INVALID_STATE', 'The state of the phone’s media cannot be read.', options);

const nameOf = ({ name, clockRate }: AudioCodec): CodecName => `${name}/${clockRate}`;

function readCodec(written: CodecName): AudioCodec {
  const [name = '', clockRate] = written.split('/');
  const codec = findAudioCodec(name, Number(clockRate));
  if (!codec) throw invalid();
  return codec;
}

function writeFormats({ codecs, telephoneEvents }: OfferedFormats): WrittenFormats {
  return {
    codecs: [...codecs].map(([codec, payloadType]) => [nameOf(codec), payloadType]),
    events: [...telephoneEvents],
  };
}

function readFormats({ codecs, events }: WrittenFormats): OfferedFormats {
  return {
    codecs: new Map(codecs.map(([name, payloadType]) => [readCodec(name), payloadType])),
    telephoneEvents: new Map(events),
  };
}

function writeSession(session: AudioSession, withFormats: boolean): WrittenSession {
  const { crypto, fmtp, ...rest } = session;
  return {
    ...rest,
    codec: nameOf(session.codec),
    ...(withFormats && fmtp !== undefined && { fmtp }),
    telephoneEvents: [...session.telephoneEvents],
    received: [...session.received].map(([payloadType, format]) => [
      payloadType,
      nameOf(format.codec),
      ...(withFormats && format.fmtp !== undefined ? ([format.fmtp] as const) : ([] as const)),
    ]),
    receivedEvents: [...session.receivedEvents],
    offered: writeFormats(session.offered),
    comfortNoise: [...session.comfortNoise],
    ...(crypto && {
      crypto: {
        tag: crypto.tag,
        suite: crypto.suite.name,
        key: crypto.remoteKey.key.toString('base64'),
        salt: crypto.remoteKey.salt.toString('base64'),
        mkiLength: crypto.remoteKey.mkiLength,
      },
    }),
  };
}

function readSession({ crypto, ...written }: WrittenSession): AudioSession {
  return {
    ...written,
    codec: readCodec(written.codec),
    telephoneEvents: new Map(written.telephoneEvents),
    received: new Map(
      written.received.map(([payloadType, codec, fmtp]) => [payloadType, asFormat(codec, fmtp)]),
    ),
    receivedEvents: new Map(written.receivedEvents),
    offered: readFormats(written.offered),
    comfortNoise: new Set(written.comfortNoise),
    ...(crypto && { crypto: readCrypto(crypto) }),
  };
}

function asFormat(codec: CodecName, fmtp: string | undefined): ReceivedFormat {
  return { codec: readCodec(codec), ...(fmtp === undefined ? {} : { fmtp }) };
}

function readCrypto(written: NonNullable<WrittenSession['crypto']>): NonNullable<AudioSession['crypto']> {
  const suite = findSrtpSuite(written.suite);
  if (!suite) throw invalid();
  const { tag, key, salt, mkiLength } = written;
  return {
    tag,
    suite,
    remoteKey: { key: Buffer.from(key, 'base64'), salt: Buffer.from(salt, 'base64'), mkiLength },
  };
}
