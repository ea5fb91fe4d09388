import type { Participant } from '../../../core/index.js';
import type { MediaDtmf, ProgramRate, ProgramSpec } from '../../../media/index.js';

/** A WebSocket message: text, or binary. */
export type Message = string | Buffer;

/** How a program's audio is carried. */
export type ProgramFormat = Pick<ProgramSpec, 'rate' | 'channels'>;

/** What a program is told first. */
export interface ProgramFacts extends ProgramFormat {
  readonly participant: Participant;
  /** Id of the device's connection: `device.id` in REST. */
  readonly connectionId: string;
  /** The stream that it publishes. */
  readonly streamId: string;
  /** It goes on after it lost its socket. */
  readonly isResumed: boolean;
}

/** A stream that the program receives. */
export interface Channel {
  /** From 1 to 65,535; another stream has it only after this one has ended. */
  readonly number: number;
  readonly streamId: string;
  readonly participantId: string;
  readonly alias?: string;
}

/** What a program is told beside audio. A dialect has no words for some of it. */
export type News =
  | { readonly type: 'channel'; readonly isOpen: boolean; readonly channel: Channel }
  /** Somebody begins or ceases to speak. */
  | {
      readonly type: 'speech';
      readonly channel: Channel;
      readonly isSpeaking: boolean;
      readonly levelDb?: number;
    }
  /** A key was pressed; without a channel the application sent it by REST. */
  | {
      readonly type: 'digit';
      readonly digit: string;
      readonly durationMs: number;
      readonly channel?: Channel;
    }
  /** What was played before the mark has been sent, or cleared. */
  | { readonly type: 'played'; readonly mark: string }
  /** Audio found no room and is lost: the program's in the queue, or what was sent to a program that reads slowly. */
  | {
      readonly type: 'overflow';
      readonly direction: 'from-program' | 'to-program';
      readonly droppedMs: number;
    }
  /** What waited to be played, and its marks, are lost. */
  | { readonly type: 'interrupted' }
  | { readonly type: 'error'; readonly code: string; readonly message: string }
  /** The connection ends. */
  | { readonly type: 'stop'; readonly reason: string };

/** What a program asks for. */
export type Command =
  | { readonly type: 'play'; readonly pcm: Buffer }
  | { readonly type: 'mark'; readonly mark: string }
  | { readonly type: 'clear' }
  | { readonly type: 'dtmf'; readonly dtmf: MediaDtmf }
  /** The program leaves for good. */
  | { readonly type: 'leave' };

/** One socket's words: turns what the program is told into messages, and its messages into commands. */
export interface Conversation {
  /** The messages with which it begins. */
  start(facts: ProgramFacts): readonly Message[];
  /** 20 ms of audio; `channel` is absent in a mix. */
  audio(pcm: Buffer, channel: Channel | undefined): Message;
  /** @returns undefined when the dialect has no word for it */
  tell(news: News): Message | undefined;
  /** @throws BadMessage */
  read(message: Message): readonly Command[];
}

/** A protocol for audio over WebSocket. */
export interface Dialect {
  readonly name: DialectName;
  readonly rates: readonly ProgramRate[];
  readonly defaultRate: ProgramRate;
  /** Whether each stream can be told apart; if not, there is only a mix. */
  readonly hasChannels: boolean;
  /** How audio is coded on the socket, by its name in SDP. */
  readonly codec: 'L16' | 'PCMU';
  /** WebSocket subprotocols that are offered to the program (RFC 6455 section 1.9). */
  readonly subprotocols: readonly string[];
  converse(): Conversation;
}

export type DialectName = 'patchbay' | 'twilio' | 'vonage' | 'jambonz';

/** A message of a program that cannot be acted on. The code and the text are sent to the program. */
export class BadMessage extends Error {
  override readonly name = 'BadMessage';
  readonly code: string;

  constructor(code: string, message: string) {
    super(message);
    this.code = code;
  }
}

const MAX_MARK_LENGTH = 256;

type Fields = Readonly<Record<string, unknown>>;

/** A text message that is a JSON object. @throws BadMessage */
export function asFields(text: string): Fields {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw new BadMessage('not-json', 'A text message must be JSON.');
  }
  if (!isFields(value)) throw new BadMessage('not-an-object', 'A text message must be a JSON object.');
  return value;
}

function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** A property that is an object. @throws BadMessage */
export function fieldsIn(fields: Fields, name: string): Fields {
  const value = fields[name];
  if (isFields(value)) return value;
  throw new BadMessage('bad-field', `The property '${name}' must be an object.`);
}

/** The name of a mark. @throws BadMessage */
export function markIn(fields: Fields, name: string): string {
  const value = fields[name];
  if (typeof value === 'string' && value !== '' && value.length <= MAX_MARK_LENGTH) return value;
  throw new BadMessage(
    'bad-field',
    `The property '${name}' must be a text of 1 to ${String(MAX_MARK_LENGTH)} characters.`,
  );
}

/** Bytes in base64. @throws BadMessage */
export function base64In(fields: Fields, name: string): Buffer {
  const value = fields[name];
  if (typeof value === 'string') {
    const bytes = Buffer.from(value, 'base64');
    // Node ignores what is not base64: then fewer bytes come out than the text's length says.
    const digits = value.length - (value.endsWith('==') ? 2 : value.endsWith('=') ? 1 : 0);
    if (bytes.length === Math.floor((digits * 3) / 4)) return bytes;
  }
  throw new BadMessage('bad-field', `The property '${name}' must be base64.`);
}

/** Samples of 16 bits. @throws BadMessage when a sample is cut in two */
export function asPcm(bytes: Buffer): Buffer {
  if (bytes.length % 2 === 0) return bytes;
  throw new BadMessage('odd-length', 'Audio must be whole samples of 16 bits.');
}

export function unknownMessage(name: string, value: unknown): BadMessage {
  const given = typeof value === 'string' ? `'${value.slice(0, 40)}'` : 'no text';
  return new BadMessage('unknown-message', `There is no message whose '${name}' is ${given}.`);
}
