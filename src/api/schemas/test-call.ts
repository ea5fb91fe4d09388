import { type Static, Type } from '@sinclair/typebox';
import { absentable, component, listOf, moment, ref, text } from './shapes.js';

/** A test call to place. */
export const NewTestCallSchema = component(
  'NewTestCall',
  Type.Object({
    participantId: Type.Optional(text(128, 'Whom to call.')),
    seconds: Type.Optional(
      Type.Integer({
        minimum: 1,
        maximum: 300,
        description: 'After so many seconds the test caller hangs up. Default: 120.',
      }),
    ),
  }),
);

const sound = {
  packets: Type.Integer(),
  lost: absentable(Type.Integer()),
  jitterMs: absentable(Type.Number()),
  levelDb: absentable(Type.Number({ description: 'In dB relative to full scale.' })),
  mos: absentable(Type.Number({ description: 'Mean opinion score by the E-model, 1 to 4.5.' })),
};

const properties = {
  testCallId: Type.String(),
  kind: Type.Unsafe<'participant' | 'application'>({ type: 'string', enum: ['participant', 'application'] }),
  state: Type.Unsafe<'calling' | 'answered' | 'ended' | 'failed'>({
    type: 'string',
    enum: ['calling', 'answered', 'ended', 'failed'],
    description: '`failed`: it was not answered; `problem` says why.',
  }),
  participantId: absentable(Type.String()),
  sessionId: absentable(Type.String()),
  deviceId: absentable(Type.String({ description: 'The Call-ID of its SIP call.' })),
  codec: absentable(Type.String({ examples: ['PCMU'] })),
  startedAt: moment('When it began.'),
  endedAt: absentable(moment('When it ended; absent as long as it goes on.')),
  signalling: absentable(
    Type.Object(
      {
        status: Type.Integer({ description: 'The SIP status of the final response.', examples: [200] }),
        reason: absentable(Type.String({ description: 'Why it was refused.' })),
        answeredAfterMs: absentable(Type.Integer()),
      },
      { description: 'How the INVITE was answered.' },
    ),
  ),
  toGateway: absentable(
    Type.Object(
      {
        ...sound,
        heardBy: Type.Integer({ description: 'How many connected participants receive it.' }),
      },
      { description: 'The sound of the test caller, as the gateway measured it, every 5 s.' },
    ),
  ),
  fromGateway: absentable(Type.Object(sound, { description: 'What the test caller hears of the session.' })),
  roundTripMs: absentable(
    Type.Number({
      description: 'Between test caller and gateway, measured by RTCP (RFC 3550 section 6.4.1).',
    }),
  ),
  delayMs: absentable(
    Type.Number({
      description:
        'One way, estimated: half the round trip, one packet of 20 ms, and what a jitter buffer holds back.',
    }),
  ),
  mos: absentable(Type.Number({ description: 'That of the worse direction.' })),
  problem: absentable(
    Type.Object(
      {
        code: Type.String({
          description:
            'One of `sip-unreachable`, `no-answer`, `refused`, `no-rtp`, `not-heard`, `no-session`, `may-not-publish`, ' +
            '`nobody-hears`, `ended-early`, `application`; others may be added.',
          examples: ['nobody-hears'],
        }),
        message: Type.String({ description: 'What is wrong, for people.' }),
        advice: Type.String({ description: 'What to do about it.' }),
      },
      { description: 'What is wrong now, or was at the end; absent when all is well.' },
    ),
  ),
};

/** A test call and its result so far. */
export const TestCallSchema = component('TestCall', Type.Object(properties));

export const TestCallsSchema = component(
  'TestCalls',
  Type.Object({ items: listOf(ref(TestCallSchema), { description: 'The newest first, at most 20.' }) }),
);

export type NewTestCallBody = Static<typeof NewTestCallSchema>;
export type TestCallView = Static<typeof TestCallSchema>;

export const testCallComponents = [NewTestCallSchema, TestCallSchema, TestCallsSchema];
