import { type Static, Type } from '@sinclair/typebox';
import {
  absentable,
  component,
  listOf,
  MediaFormatSchema,
  moment,
  pageQuery,
  QualitySchema,
  ref,
  text,
} from './shapes.js';

const time = (description: string) =>
  Type.Optional(
    Type.String({ format: 'iso-8601', description, examples: ['2026-01-31', '2026-01-31T12:00:00Z'] }),
  );

/** Which records of an account to report, and how. */
export const UsageQuerySchema = Type.Object({
  from: time('Connections that started then or later: a date (UTC), or a date and time with a time zone.'),
  to: time('Connections that started before then.'),
  tag: Type.Optional(text(50, 'Connections whose session or participant has this tag.')),
  participantId: Type.Optional(text(128, 'Connections of this participant.')),
  deviceId: Type.Optional(
    text(512, "Connections of the device with this id: a phone's Call-ID, a browser's `uniqueId`."),
  ),
  format: Type.Optional(
    Type.Unsafe<'json' | 'csv'>({ type: 'string', enum: ['json', 'csv'], description: 'Default: `json`.' }),
  ),
  ...pageQuery,
});

const UsageRecordSchema = component(
  'UsageRecord',
  Type.Object(
    {
      id: Type.String(),
      connectionId: Type.String({ description: 'The same in all records of one connection.' }),
      accountId: Type.String(),
      sessionId: absentable(Type.String()),
      sessionTag: absentable(Type.String()),
      participantId: Type.String(),
      participantTag: absentable(Type.String()),
      kind: Type.String({ examples: ['browser', 'phone', 'program'] }),
      direction: Type.String({ examples: ['inbound', 'outbound'] }),
      deviceId: Type.String({
        description: "The device's own id: a browser's `uniqueId`, a phone's Call-ID.",
      }),
      caller: absentable(Type.String()),
      callerName: absentable(Type.String()),
      called: absentable(Type.String()),
      test: absentable(
        Type.Boolean({ description: "True for a test call of the gateway's own; absent for all others." }),
      ),
      startedAt: moment('When it started.'),
      endedAt: absentable(moment('When it ended; absent while it is open.')),
      seconds: Type.Number({ description: 'From its start to its end, or until now.' }),
      endReason: absentable(
        Type.String({
          description: 'Why it ended; `moved`: the participant went on in another session.',
          examples: ['left', 'disconnected', 'lost'],
        }),
      ),
      received: absentable(
        ref(MediaFormatSchema, 'How its media came, at last; absent when it never sent any.'),
      ),
      sent: absentable(ref(MediaFormatSchema, 'How media were sent to it, at last.')),
      quality: absentable(
        ref(
          QualitySchema,
          'How the audio of the connection fared from its start to the end of the record; absent while it is open, ' +
            'and when nothing was measured.',
        ),
      ),
    },
    { description: 'One connection of a device in one session.' },
  ),
);

const UsageTotalSchema = component(
  'UsageTotal',
  Type.Object({
    tag: absentable(Type.String({ description: 'Absent for connections without a tag.' })),
    connections: Type.Integer(),
    seconds: Type.Number(),
  }),
);

/** One page of usage records, with totals over all pages. */
export const UsageReportSchema = component(
  'UsageReport',
  Type.Object({
    items: listOf(ref(UsageRecordSchema)),
    next: absentable(Type.String({ description: 'Continues the report; absent on the last page.' })),
    totals: listOf(ref(UsageTotalSchema), {
      description:
        'Over all pages, by the tag of the session or, if it has none, of the participant. Longest first.',
    }),
  }),
);

const FailedCallSchema = component(
  'FailedCall',
  Type.Object(
    {
      at: moment('When it was refused.'),
      participantId: Type.String(),
      deviceId: Type.String({ description: "The id that the device names itself by: the phone's Call-ID." }),
      kind: Type.String({ examples: ['phone'] }),
      direction: Type.String({ examples: ['inbound'] }),
      caller: absentable(Type.String()),
      callerName: absentable(Type.String()),
      called: absentable(Type.String()),
      status: Type.Integer({ description: 'The SIP status of the refusal.', examples: [488] }),
      reason: Type.String({ description: 'Why, in words.' }),
      codecs: listOf(Type.String(), { description: 'Names of the audio codecs that the phone offered.' }),
    },
    { description: 'A call that came for a participant of the account and was refused.' },
  ),
);

/** The last refused calls of an account. */
export const FailedCallsSchema = component(
  'FailedCalls',
  Type.Object({ items: listOf(ref(FailedCallSchema), { description: 'The newest first, at most 500.' }) }),
);

export type FailedCallsView = Static<typeof FailedCallsSchema>;
export type UsageReportView = Static<typeof UsageReportSchema>;

export const usageComponents = [
  UsageRecordSchema,
  UsageTotalSchema,
  UsageReportSchema,
  FailedCallSchema,
  FailedCallsSchema,
];
