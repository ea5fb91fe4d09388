import { type Static, Type } from '@sinclair/typebox';
import { DeviceSchema, DeviceSummarySchema } from './device.js';
import { absentable, component, listOf, moment, ref, text, word } from './shapes.js';

const ParticipantSubscriptionSchema = component(
  'ParticipantSubscription',
  Type.Object({
    participantId: text(128, 'Whom to receive. The participant need not exist yet.'),
    streamAliases: Type.Optional(
      Type.Array(text(256, 'The alias that a device gave to its stream.'), {
        uniqueItems: true,
        maxItems: 100,
        description: 'Only these of its streams. Absent or empty: all.',
      }),
    ),
  }),
);

export const NewSubscriptionsSchema = component(
  'NewSubscriptions',
  Type.Object(
    {
      sessionId: Type.Optional(
        text(128, 'The session in the path. Without `participants`: everyone in it, now and later.'),
      ),
      participants: Type.Optional(
        Type.Array(ref(ParticipantSubscriptionSchema), {
          maxItems: 200,
          description: 'Exactly these participants. An empty list is the same as none.',
        }),
      ),
    },
    {
      description:
        'Whom to receive; without any property: nobody. A participant never receives its own streams.',
    },
  ),
);

export const SubscriptionsSchema = component(
  'Subscriptions',
  Type.Object({
    sessionId: absentable(Type.String()),
    participants: absentable(
      listOf(
        Type.Object({
          participantId: Type.String(),
          streamAliases: absentable(listOf(Type.String())),
        }),
      ),
    ),
  }),
);

export const subscriptionComponents = [
  ParticipantSubscriptionSchema,
  NewSubscriptionsSchema,
  SubscriptionsSchema,
];

const IceServerSchema = Type.Object({
  urls: listOf(Type.String()),
  username: Type.String({
    description: 'When the credentials expire, in epoch seconds, and the participant that they are for.',
  }),
  credential: Type.String(),
});

/** The value of the browser client's option `iceServers`. */
export const IceServersSchema = component(
  'IceServers',
  Type.Object({
    iceServers: listOf(IceServerSchema, { description: 'Empty when no TURN server is configured.' }),
  }),
);

const askedEvent = Type.Unsafe<'hold' | 'callFailed' | 'speaking' | 'announcement'>({
  type: 'string',
  enum: ['hold', 'callFailed', 'speaking', 'announcement'],
});

const noiseSuppression = Type.Boolean({
  description:
    'Whether phones hear it without its noise; browsers hear it as it is. Default: of phones, as ' +
    '`PATCHBAY_NOISE_SUPPRESSION` says; of others, `false`.',
});

export const NewParticipantSchema = component(
  'NewParticipant',
  Type.Object({
    publishPermissions: Type.Optional(
      Type.Array(word(['AUDIO', 'VIDEO'] as const, 'In any case.'), {
        uniqueItems: true,
        description: 'What its device may publish.',
      }),
    ),
    deviceApiVersion: Type.Optional(
      word(['V3', 'V2'] as const, 'The protocol version of a browser with its token. Default `V3`.'),
    ),
    tag: Type.Optional(text(50, 'Free text of the application.')),
    callbackUrl: Type.Optional(
      Type.String({
        maxLength: 2048,
        format: 'web-url',
        description:
          'An http or https URL for the webhooks of this participant; its host must be an address or a valid name.',
        examples: ['https://app.example/webrtc-events'],
      }),
    ),
    events: Type.Optional(
      Type.Array(askedEvent, {
        uniqueItems: true,
        description:
          'Optional webhooks: `hold` for `onHold` and `onResume`, when its phone puts the session on hold and resumes; ' +
          '`callFailed` for `onCallFailed`, when a call with its token is refused; `speaking` for `onSpeaking`, when ' +
          'somebody begins or ceases to speak in one of its streams (then these are measured though nobody hears them); ' +
          '`announcement` for `onAnnouncement`, when a sound that the application has played begins, ends, is stopped or ' +
          'fails.',
        examples: [['hold']],
      }),
    ),
    noiseSuppression: Type.Optional(noiseSuppression),
  }),
);

export const ParticipantChangeSchema = component(
  'ParticipantChange',
  Type.Object(
    { noiseSuppression: Type.Optional(noiseSuppression) },
    { description: 'What is absent stays.' },
  ),
);

const properties = {
  id: Type.String(),
  publishPermissions: listOf(Type.Unsafe<'AUDIO' | 'VIDEO'>({ type: 'string', enum: ['AUDIO', 'VIDEO'] })),
  deviceApiVersion: Type.Unsafe<'V3' | 'V2'>({ type: 'string', enum: ['V3', 'V2'] }),
  tag: absentable(Type.String()),
  callbackUrl: absentable(Type.String()),
  events: absentable(
    listOf(askedEvent, { description: 'Optional webhooks that its application asked for; absent: none.' }),
  ),
  noiseSuppression: absentable(
    Type.Boolean({ description: 'As the application set it; absent: it did not.' }),
  ),
  sessions: listOf(Type.String(), { description: 'The id of the session that it is in, or empty.' }),
  subscriptions: ref(SubscriptionsSchema),
  createdAt: moment('When it was created.'),
  expiresAt: moment('When it is deleted, and its device disconnected.'),
};

/** A participant, and which device it has connected. */
export const ParticipantSchema = component(
  'Participant',
  Type.Object({ ...properties, device: absentable(ref(DeviceSummarySchema)) }),
);

/** A participant, with the streams that its device sends and receives. */
export const ParticipantDetailSchema = component(
  'ParticipantDetail',
  Type.Object({ ...properties, device: absentable(ref(DeviceSchema)) }),
);

/** A participant as it was just created: the only response with its token. */
export const CreatedParticipantSchema = component(
  'CreatedParticipant',
  Type.Object({
    participant: ref(ParticipantSchema),
    token: Type.String({ description: 'For its device. No other response has it.' }),
    warnings: absentable(
      listOf(Type.String(), {
        description: 'What is allowed but often a mistake, such as a participant that may publish nothing.',
      }),
    ),
  }),
);

export type ParticipantView = Static<typeof ParticipantSchema>;
export type ParticipantDetailView = Static<typeof ParticipantDetailSchema>;

export const participantComponents = [
  NewParticipantSchema,
  ParticipantChangeSchema,
  ParticipantSchema,
  ParticipantDetailSchema,
  CreatedParticipantSchema,
];
