import { type Static, type TSchema, Type } from '@sinclair/typebox';
import type { FromEdge, FromLeader } from '../messages.js';
import {
  AnyAddress,
  AnyCloseReason,
  AnyCrossing,
  AnyDelivery,
  AnyDeviceInfo,
  AnyDtmf,
  AnyEndReason,
  AnyFailedCall,
  AnyFailure,
  AnyFormats,
  AnyHeaders,
  AnyHost,
  AnyLevels,
  AnyOmitted,
  AnyOrder,
  AnyParticipant,
  AnyPlacement,
  AnyQuality,
  AnyResumePoint,
  AnyStreams,
  AnyTrace,
  Count,
  maybe,
  statedDevice,
  Text,
} from './shapes.js';

/** The schemas of all messages between an edge and the leader, by their types. */

const Flag = Type.Boolean();
const deviceId = { deviceId: Text };

const AnyEvent = Type.Union([
  Type.Object({ type: Type.Literal('connect'), device: Type.Object(statedDevice) }),
  Type.Object({ type: Type.Literal('dtmf'), ...deviceId, digit: Text, durationMs: Type.Number() }),
  Type.Object({ type: Type.Literal('hold'), ...deviceId, held: Flag }),
  Type.Object({ type: Type.Literal('signalling'), ...deviceId, lost: Flag }),
  Type.Object({ type: Type.Literal('end'), ...deviceId, reason: AnyEndReason }),
  Type.Object({ type: Type.Literal('measured'), ...deviceId, quality: AnyQuality }),
  Type.Object({ type: Type.Literal('callFailed'), participantId: Text, call: AnyFailedCall }),
]);
const AnyLocated = Type.Object({ hosts: Type.Array(AnyHost), placements: Type.Array(AnyPlacement) });
const AnyEntry = Type.Object({ number: Count, event: AnyEvent });

const AnyChange = Type.Union([
  Type.Object({ part: Type.Literal('streams'), streams: AnyStreams }),
  Type.Object({ part: Type.Literal('formats'), formats: AnyFormats }),
  Type.Object({ part: Type.Literal('omitted'), omitted: AnyOmitted }),
  Type.Object({ part: Type.Literal('quality'), quality: AnyQuality }),
  Type.Object({ part: Type.Literal('resumePoint'), resumePoint: AnyResumePoint }),
  Type.Object({
    part: Type.Literal('speaking'),
    streamId: Text,
    isSpeaking: Flag,
    levelDb: Type.Optional(Type.Number()),
  }),
  Type.Object({ part: Type.Literal('levels'), levels: AnyLevels }),
]);

const AnyCall = Type.Object({ id: Text, document: Text });

/** What an edge asks, and what it is answered, by the question. */
const QUESTIONS = {
  authenticate: { asked: Type.Object({ token: Text, ignoreExpiry: Flag }), answer: AnyParticipant },
  admitDevice: { asked: Type.Object({ participantId: Text, accountId: Text }), answer: Type.Null() },
  participantOf: { asked: Type.Object({ participantId: Text }), answer: maybe(AnyParticipant) },
  connectedDevice: { asked: Type.Object({ participantId: Text }), answer: maybe(AnyDeviceInfo) },
  resumePoint: {
    asked: Type.Object({ participantId: Text, externalId: Text }),
    answer: maybe(AnyResumePoint),
  },
  flush: { asked: Type.Object({}), answer: Type.Null() },
  calls: {
    asked: Type.Object({ after: maybe(Text) }),
    answer: Type.Object({ calls: Type.Array(AnyCall), isLast: Flag }),
  },
} as const;
type Questions = typeof QUESTIONS;
type QuestionName = keyof Questions;
type Asked = {
  [K in QuestionName]: {
    type: 'question';
    id: number;
    question: K;
    asked: Static<Questions[K]['asked']>;
  };
}[QuestionName];
type Answered = {
  [K in QuestionName]: { type: 'answer'; id: number; question: K; answer: Static<Questions[K]['answer']> };
}[QuestionName];

/** All requests of a table, or all answers, as messages of one type. */
const eachOf = (
  table: Readonly<Record<string, Readonly<Record<'asked' | 'answer', TSchema>>>>,
  type: string,
  name: 'question' | 'command',
  part: 'asked' | 'answer',
) =>
  Type.Union(
    Object.entries(table).map(([word, schemas]) =>
      Type.Object({
        type: Type.Literal(type),
        id: Count,
        [name]: Type.Literal(word),
        [part]: schemas[part],
      }),
    ),
  );

const ofCall = { accountId: Text, externalId: Text };

/** What the leader commands, and what that yields, by the command. */
const COMMANDS = {
  sendDtmf: { asked: Type.Object({ ...deviceId, dtmf: AnyDtmf }), answer: Type.Null() },
  readTrace: { asked: Type.Object(ofCall), answer: maybe(AnyTrace) },
  deleteTrace: { asked: Type.Object(ofCall), answer: Flag },
} as const;
type Commands = typeof COMMANDS;
type CommandName = keyof Commands;
type Commanded = {
  [K in CommandName]: { type: 'command'; id: number; command: K; asked: Static<Commands[K]['asked']> };
}[CommandName];
type CommandsDone = {
  [K in CommandName]: { type: 'done'; id: number; command: K; answer: Static<Commands[K]['answer']> };
}[CommandName];

const AnyFailed = Type.Object({ type: Type.Literal('failed'), id: Count, failure: AnyFailure });

export const FROM_EDGE = {
  hello: Type.Object({
    type: Type.Literal('hello'),
    edgeId: Text,
    process: Text,
    kinds: Type.Array(Text),
    isComplete: Flag,
    devices: Type.Array(Type.Object({ ...statedDevice, hasEnded: Flag })),
    history: Type.Array(AnyEntry),
    located: Type.Optional(AnyLocated),
    address: Type.Optional(AnyAddress),
    takesOver: Flag,
  }),
  history: Type.Object({ type: Type.Literal('history'), entry: AnyEntry }),
  state: Type.Object({ type: Type.Literal('state'), ...deviceId, change: AnyChange }),
  kind: Type.Object({ type: Type.Literal('kind'), kind: Text }),
  located: Type.Object({ type: Type.Literal('located'), located: AnyLocated }),
  hosts: Type.Object({ type: Type.Literal('hosts'), hosts: Type.Array(AnyHost) }),
  placed: Type.Object({ type: Type.Literal('placed'), placement: AnyPlacement }),
  removed: Type.Object({ type: Type.Literal('removed'), ...deviceId }),
  complete: Type.Object({ type: Type.Literal('complete') }),
  takesNoCalls: Type.Object({ type: Type.Literal('takesNoCalls') }),
  leaves: Type.Object({ type: Type.Literal('leaves') }),
  alive: Type.Object({
    type: Type.Literal('alive'),
    at: Type.Number(),
    stamp: Type.Optional(Type.Number()),
  }),
  call: Type.Object({ type: Type.Literal('call'), id: Text, revision: Count, document: maybe(Text) }),
  question: Type.Unsafe<Asked>(eachOf(QUESTIONS, 'question', 'question', 'asked')),
  closed: Type.Object({ type: Type.Literal('closed'), ...deviceId, last: Count }),
  done: Type.Unsafe<CommandsDone>(eachOf(COMMANDS, 'done', 'command', 'answer')),
  failed: AnyFailed,
} as const;

export const FROM_LEADER = {
  welcome: Type.Object({ type: Type.Literal('welcome'), epoch: Count, acknowledged: Count }),
  acknowledged: Type.Object({ type: Type.Literal('acknowledged'), number: Count }),
  settled: Type.Object({ type: Type.Literal('settled') }),
  callsSaved: Type.Object({ type: Type.Literal('callsSaved'), revision: Count }),
  admitted: Type.Object({
    type: Type.Literal('admitted'),
    ...deviceId,
    order: AnyOrder,
    participant: AnyParticipant,
  }),
  refused: Type.Object({ type: Type.Literal('refused'), ...deviceId, failure: AnyFailure }),
  deliver: Type.Object({
    type: Type.Literal('deliver'),
    ...deviceId,
    delivery: AnyDelivery,
    levelling: Type.Optional(Flag),
    missing: Type.Optional(Type.Array(Text)),
  }),
  watchLevels: Type.Object({ type: Type.Literal('watchLevels'), ...deviceId, isWatched: Flag }),
  byeHeaders: Type.Object({ type: Type.Literal('byeHeaders'), ...deviceId, headers: AnyHeaders }),
  participant: Type.Object({ type: Type.Literal('participant'), ...deviceId, participant: AnyParticipant }),
  speech: Type.Object({
    type: Type.Literal('speech'),
    ...deviceId,
    streamId: Text,
    speech: Type.Object({ isSpeaking: Flag, levelDb: Type.Optional(Type.Number()) }),
  }),
  close: Type.Object({ type: Type.Literal('close'), ...deviceId, reason: AnyCloseReason }),
  takeOver: Type.Object({ type: Type.Literal('takeOver'), call: AnyCall }),
  lease: Type.Object({
    type: Type.Literal('lease'),
    at: Type.Optional(Type.Number()),
    stamp: Type.Number(),
  }),
  command: Type.Unsafe<Commanded>(eachOf(COMMANDS, 'command', 'command', 'asked')),
  crossings: Type.Object({
    type: Type.Literal('crossings'),
    isAll: Flag,
    crossings: Type.Array(AnyCrossing),
    awaited: Type.Array(Text),
  }),
  answer: Type.Unsafe<Answered>(eachOf(QUESTIONS, 'answer', 'question', 'answer')),
  failed: AnyFailed,
} as const;

/** Schemas of messages, by the types of these. */
export type Schemas = Readonly<Record<string, TSchema>>;
type MessageOf<S extends Schemas> = Static<S[keyof S]>;

/** A type without `readonly`, in which what may be absent is told apart from what is not there. */
type Plain<T> = T extends string | number | boolean | null
  ? T
  : T extends readonly unknown[]
    ? { -readonly [K in keyof T]: Plain<T[K]> }
    : {
        -readonly [K in keyof T]-?: undefined extends T[K]
          ? { maybe: Plain<Exclude<T[K], undefined>> }
          : Plain<T[K]>;
      };
type Same<A, B> = [A] extends [B] ? ([B] extends [A] ? true : false) : false;
const isSame = <A, B>(same: Same<Plain<A>, Plain<B>>): boolean => same;

/** They do not compile when a message and its schema differ. */
export const SCHEMAS_ARE_WHOLE =
  isSame<MessageOf<typeof FROM_EDGE>, FromEdge>(true) &&
  isSame<MessageOf<typeof FROM_LEADER>, FromLeader>(true);
