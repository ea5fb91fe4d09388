import { type Static, Type } from '@sinclair/typebox';
import { absentable, component, listOf, moment, ref, text, webUrl } from './shapes.js';

const method = Type.Unsafe<'GET' | 'POST'>({
  type: 'string',
  enum: ['GET', 'POST'],
  description: 'Default: `POST`.',
});

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
    answerUrl: Type.Optional(webUrl('Where the application to be tried answers events with BXML.')),
    answerMethod: Type.Optional(method),
    username: Type.Optional(text(256, 'For HTTP Basic at `answerUrl` and `disconnectUrl`.')),
    password: Type.Optional(text(256, 'Likewise. It is never shown again.')),
    disconnectUrl: Type.Optional(webUrl('Where the event `disconnect` is sent. Default: nowhere.')),
    disconnectMethod: Type.Optional(method),
    bxml: Type.Optional(text(32_768, 'The BXML to execute, in place of what an application would answer.')),
    from: Type.Optional(text(64, 'Number of the caller in events and calls. Default: `+15555550100`.')),
    to: Type.Optional(text(64, 'Number that is called. Default: `+15555550199`.')),
    applicationId: Type.Optional(text(128, 'As in events. Default: `trial`.')),
    tag: Type.Optional(text(256, 'As in events.')),
    direction: Type.Optional(
      Type.Unsafe<'inbound' | 'outbound'>({
        type: 'string',
        enum: ['inbound', 'outbound'],
        description:
          '`outbound`, the default: the application has had somebody called, and gets `answer`. `inbound`: somebody ' +
          'calls a number of the application, which gets `initiate`.',
      }),
    ),
    voiceApiUrl: Type.Optional(webUrl('What `callUrl` in events begins with. Default: that of Bandwidth.')),
  }),
);

const sound = {
  packets: absentable(
    Type.Integer({ description: 'Absent while it is not known, as always by way of FreeSWITCH.' }),
  ),
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
  steps: absentable(
    listOf(
      Type.Object({
        at: moment('When it was done.'),
        kind: Type.Unsafe<'request' | 'verb' | 'call' | 'note'>({
          type: 'string',
          enum: ['request', 'verb', 'call', 'note'],
        }),
        text: Type.String({ description: 'What was done, for people.' }),
        isFault: absentable(Type.Boolean({ description: 'Something is wrong.' })),
        method: absentable(Type.String()),
        url: absentable(Type.String()),
        event: absentable(Type.String({ description: 'The `eventType`.', examples: ['answer'] })),
        request: absentable(Type.String({ description: 'What was sent.' })),
        status: absentable(Type.Integer({ description: 'Of the response, by HTTP or SIP.' })),
        response: absentable(Type.String({ description: 'The BXML that came, with tokens masked.' })),
        deviceId: absentable(Type.String({ description: 'The Call-ID of the SIP call.' })),
      }),
      { description: 'What the trial of an application did, at most 200 steps.' },
    ),
  ),
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
