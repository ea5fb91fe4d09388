import { type TSchema, Type } from '@sinclair/typebox';
import { ERROR_CODES } from '../../core/index.js';

/** The schemas of what messages are made of. What a schema does not name is let through: a newer gateway may add to it. */

export const Text = Type.String();
const Flag = Type.Boolean();
export const Count = Type.Integer({ minimum: 0 });
const Texts = Type.Record(Type.String(), Text);

/** One of some words. */
function oneOf<const Words extends readonly string[]>(words: Words) {
  return Type.Unsafe<Words[number]>(Type.Union(words.map((word) => Type.Literal(word))));
}

export const maybe = <Schema extends TSchema>(schema: Schema) => Type.Union([schema, Type.Null()]);

const AnyMediaType = oneOf(['audio', 'video']);

const END_REASONS = [
  'left',
  'lost',
  'media-timeout',
  'replaced',
  'disconnected',
  'participant-deleted',
  'session-deleted',
  'expired',
  'max-duration',
  'shutdown',
  'crashed',
  'error',
] as const;
export const AnyEndReason = oneOf(END_REASONS);
export const AnyCloseReason = oneOf([...END_REASONS, 'taken-over']);

export const AnyFailure = Type.Object({ code: oneOf(ERROR_CODES), message: Text });

/** What is known of a call before it connects, and after. */
const caller = {
  id: Text,
  kind: Text,
  externalId: Text,
  direction: oneOf(['inbound', 'outbound']),
  caller: Type.Optional(Text),
  callerName: Type.Optional(Text),
  called: Type.Optional(Text),
};

export const AnyDeviceInfo = Type.Object({
  ...caller,
  headers: Type.Optional(Texts),
  test: Type.Optional(Type.Literal(true)),
});

export const AnyFailedCall = Type.Object({
  ...caller,
  status: Type.Integer(),
  reason: Text,
  codecs: Type.Array(Text),
});

const AnyFormat = Type.Object({ codecs: Type.Array(Text), encryption: Text });
export const AnyFormats = Type.Object({
  received: Type.Optional(AnyFormat),
  sent: Type.Optional(AnyFormat),
});

const stream = { streamId: Text, alias: Type.Optional(Text), mediaTypes: Type.Array(AnyMediaType) };
export const AnyStreams = Type.Array(Type.Object(stream));
export const AnyDelivery = Type.Array(
  Type.Object({
    ...stream,
    participantId: Text,
    announcement: Type.Optional(Type.Literal(true)),
    noiseSuppression: Type.Optional(Type.Literal(true)),
  }),
);

export const AnyOmitted = Type.Array(Type.Object({ streamId: Text, mediaType: AnyMediaType, reason: Text }));

const AnyDirectionQuality = Type.Object({
  packets: Type.Number(),
  lost: Type.Optional(Type.Number()),
  discarded: Type.Optional(Type.Number()),
  jitterMs: Type.Optional(Type.Number()),
  roundTripMs: Type.Optional(Type.Number()),
  concealedMs: Type.Optional(Type.Number()),
  levelDb: Type.Optional(Type.Number()),
  mos: Type.Optional(Type.Number()),
  mosIsEstimate: Type.Optional(Flag),
});
export const AnyQuality = Type.Object({ received: AnyDirectionQuality, sent: AnyDirectionQuality });

export const AnyResumePoint = Type.Object({
  layout: Type.Array(AnyMediaType),
  revision: Type.Number(),
  lastCallId: Type.Optional(Type.Number()),
});

export const AnyLevels = Type.Array(Type.Object({ streamId: Text, levelDb: Type.Number() }));

export const AnyParticipant = Type.Object({
  id: Text,
  accountId: Text,
  publishPermissions: Type.Array(AnyMediaType),
  deviceApiVersion: oneOf(['V3', 'V2']),
  tag: Type.Optional(Text),
  callbackUrl: Type.Optional(Text),
  events: Type.Array(oneOf(['hold', 'callFailed', 'speaking', 'announcement'])),
  noiseSuppression: Type.Optional(Flag),
  sessionId: Type.Optional(Text),
  subscriptions: Type.Object({
    sessionId: Type.Optional(Text),
    participants: Type.Optional(
      Type.Array(Type.Object({ participantId: Text, streamAliases: Type.Optional(Type.Array(Text)) })),
    ),
  }),
  createdAt: Type.Number(),
  expiresAt: Type.Number(),
});

/** Epoch and count. */
export const AnyOrder = Type.Tuple([Count, Count]);

export const AnyDtmf = Type.Object({
  digits: Text,
  durationMs: Type.Optional(Type.Number()),
  gapMs: Type.Optional(Type.Number()),
});

export const AnyTrace = Type.Object({
  messages: Type.Array(
    Type.Object({
      at: Type.Number(),
      direction: oneOf(['in', 'out']),
      from: Text,
      to: Text,
      method: Text,
      status: Type.Optional(Type.Integer()),
      summary: Text,
      text: Text,
      repeated: Flag,
    }),
  ),
  left: Count,
});

export const AnyHeaders = Texts;

/** A device with all that the core must know of it: `StatedDevice`. */
export const statedDevice = {
  info: AnyDeviceInfo,
  participantId: Text,
  abilities: Type.Object({ sendDtmf: Flag, setByeHeaders: Flag, hold: Flag, hearSpeech: Flag }),
  connectedAt: Type.Number(),
  replace: Type.Union([Flag, Text]),
  isCarried: Flag,
  order: Type.Optional(AnyOrder),
  state: Type.Object({
    formats: AnyFormats,
    streams: AnyStreams,
    held: Flag,
    signallingLost: Flag,
    omitted: AnyOmitted,
    quality: Type.Optional(AnyQuality),
    resumePoint: Type.Optional(AnyResumePoint),
  }),
};

const address = {
  host: Text,
  port: Type.Integer({ minimum: 1, maximum: 65_535 }),
};
export const AnyAddress = Type.Object(address);
export const AnyHost = Type.Object({ id: Text, ...address });
export const AnyPlacement = Type.Object({ deviceId: Text, host: Text, streamIds: Type.Array(Text) });
export const AnyCrossing = Type.Object({
  host: Text,
  otherEdge: Text,
  otherHost: Text,
  sent: Type.Array(Text),
  from: Type.Optional(Type.Object(address)),
});
