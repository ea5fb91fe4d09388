import { type Static, Type } from '@sinclair/typebox';
import {
  absentable,
  component,
  listOf,
  MediaFormatSchema,
  moment,
  pageOf,
  pageQuery,
  QualitySchema,
  ref,
  text,
} from './shapes.js';
import { UsageQuerySchema } from './usage.js';

const STATES = ['live', 'ended', 'failed'] as const;
type State = (typeof STATES)[number];

const { from, to, participantId, format } = UsageQuerySchema.properties;

/** Which calls of an account to list, and how. */
export const CallQuerySchema = Type.Object({
  state: Type.Optional(
    Type.Unsafe<State>({
      type: 'string',
      enum: [...STATES],
      description: '`live`: up now; `ended`: were answered and are over; `failed`: were refused.',
    }),
  ),
  kind: Type.Optional(text(20, 'Of this kind of device: `phone`, `browser`, `program`.')),
  from,
  to,
  tag: Type.Optional(text(50, 'Those whose first session or whose participant has this tag.')),
  participantId,
  sessionId: Type.Optional(text(128, 'Those that were in this session at any time.')),
  deviceId: Type.Optional(
    text(512, "With this id of the device (a phone's Call-ID) or of the connection (`connectionId`)."),
  ),
  caller: Type.Optional(text(128, "Those whose caller's number or name contains this.")),
  format,
  limit: pageQuery.limit,
  cursor: Type.Optional(text(128, 'The `next` of the previous page.')),
});

const CallSessionSchema = component(
  'CallSession',
  Type.Object(
    {
      sessionId: Type.String(),
      sessionTag: absentable(Type.String()),
      startedAt: moment('When it came into the session.'),
      endedAt: absentable(moment('When it left it; absent while it is there.')),
    },
    { description: 'A session that a call was in.' },
  ),
);

/** One call. */
export const CallSchema = component(
  'Call',
  Type.Object(
    {
      connectionId: Type.String({ description: "The gateway's id of this call; also in usage records." }),
      deviceId: Type.String({
        description: "The device's own id: a phone's Call-ID, a browser's `uniqueId`.",
      }),
      kind: Type.String({ examples: ['browser', 'phone', 'program'] }),
      direction: Type.String({ examples: ['inbound', 'outbound'] }),
      state: Type.Unsafe<State>({ type: 'string', enum: [...STATES] }),
      caller: absentable(Type.String()),
      callerName: absentable(Type.String()),
      called: absentable(Type.String()),
      participantId: Type.String(),
      participantTag: absentable(Type.String()),
      sessionId: absentable(Type.String({ description: 'The session that it was in last.' })),
      sessionTag: absentable(Type.String()),
      sessions: listOf(ref(CallSessionSchema), { description: 'All that it was in, in their order.' }),
      test: absentable(Type.Boolean({ description: "True for a test call of the gateway's own." })),
      startedAt: moment('When it was answered, or refused.'),
      endedAt: absentable(moment('When it ended; absent while it is up.')),
      seconds: Type.Number({ description: 'From its start to its end, or until now.' }),
      endReason: absentable(Type.String({ examples: ['left', 'disconnected', 'lost'] })),
      status: absentable(
        Type.Integer({ description: 'Of a refused call, the SIP status.', examples: [488] }),
      ),
      reason: absentable(Type.String({ description: 'Of a refused call, why, as the phone was told.' })),
      offeredCodecs: absentable(
        listOf(Type.String(), { description: 'Of a refused call, the audio codecs that the phone offered.' }),
      ),
      explanation: absentable(
        Type.String({ description: 'Why it ended or was refused, in words, for people.' }),
      ),
      advice: absentable(Type.String({ description: 'What can be done about that, in words.' })),
      received: absentable(ref(MediaFormatSchema, 'How its media came, at last.')),
      sent: absentable(ref(MediaFormatSchema, 'How media were sent to it, at last.')),
      quality: absentable(ref(QualitySchema, 'How its audio fared from its start to its end, or until now.')),
    },
    { description: 'One connection of a device, or a call that was refused.' },
  ),
);

/** One page of calls. */
export const CallPageSchema = pageOf('CallPage', CallSchema);

const LadderMessageSchema = component(
  'SipMessage',
  Type.Object(
    {
      at: moment('When the gateway received or sent it.'),
      direction: Type.Unsafe<'in' | 'out'>({
        type: 'string',
        enum: ['in', 'out'],
        description: '`in`: to the gateway.',
      }),
      from: Type.String({ examples: ['udp/192.0.2.9:5060'] }),
      to: Type.String({ examples: ['udp/198.51.100.1:5060'] }),
      method: Type.String({ description: 'Of a response, that of its request.', examples: ['INVITE'] }),
      status: absentable(Type.Integer({ description: 'Of a response.' })),
      summary: Type.String({ examples: ['200 OK (INVITE) with SDP'] }),
      text: Type.String({ description: 'The whole message; tokens, credentials and keys are masked.' }),
      repeated: Type.Boolean({ description: 'Whether it is the same as one before: a retransmission.' }),
    },
    { description: 'A SIP message of a call.' },
  ),
);

/** The SIP messages of a call. */
export const CallTraceSchema = component(
  'CallTrace',
  Type.Object({
    items: listOf(ref(LadderMessageSchema), { description: 'The oldest first.' }),
    left: Type.Integer({ description: 'Later messages that were not kept, since the call had too many.' }),
  }),
);

const measure = (description: string) => absentable(Type.Number({ description }));

const StepQualitySchema = component(
  'StepQuality',
  Type.Object(
    {
      packets: Type.Number({ description: 'Packets of audio in this step.' }),
      lost: measure('Packets that the network lost in this step.'),
      discarded: measure('Packets that came too late or too many in this step.'),
      concealedMs: measure('Audio that was made up in this step, in ms.'),
      jitterMs: measure('Jitter of arrival.'),
      roundTripMs: measure('To the device and back.'),
      levelDb: measure('Level of speech, in dB relative to full scale.'),
      mos: measure('Mean opinion score of the whole call up to then.'),
    },
    { description: 'The audio of one direction within one step; what was not measured is absent.' },
  ),
);

/** How a call sounded over its time. */
export const QualitySeriesSchema = component(
  'QualitySeries',
  Type.Object({
    stepSeconds: Type.Number({ description: 'Time between two points: 5, and longer in long calls.' }),
    points: listOf(
      Type.Object({
        at: moment('End of the step.'),
        received: ref(StepQualitySchema, 'What came from the device.'),
        sent: ref(StepQualitySchema, 'What was sent to it, as it reports.'),
      }),
      { description: 'At most 720.' },
    ),
  }),
);

export type CallView = Static<typeof CallSchema>;
export type CallTraceView = Static<typeof CallTraceSchema>;
export type QualitySeriesView = Static<typeof QualitySeriesSchema>;

export const callComponents = [
  CallSessionSchema,
  CallSchema,
  CallPageSchema,
  LadderMessageSchema,
  CallTraceSchema,
  StepQualitySchema,
  QualitySeriesSchema,
];
