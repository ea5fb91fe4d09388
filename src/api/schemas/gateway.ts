import { type Static, Type } from '@sinclair/typebox';
import { absentable, component, listOf, moment } from './shapes.js';

const share = Type.Number({ description: 'Share of the time that it is busy, 0 to 1.' });
const lateMs = Type.Number({ description: 'How late it runs timers, in ms: the mean of half a second.' });

const webhooks = {
  waiting: Type.Integer({ description: 'Webhooks that are not delivered yet.' }),
  failing: Type.Integer({ description: 'Participants whose next webhook has failed, and is tried again.' }),
};

/** What an account uses of the gateway. */
const own = Type.Object(
  {
    devices: Type.Record(Type.String(), Type.Integer(), {
      description: 'Connected devices of each kind.',
      examples: [{ browser: 2, phone: 1, program: 0 }],
    }),
    maxDevices: absentable(Type.Integer({ description: 'Absent: no limit.' })),
    eventReaders: Type.Integer({ description: 'Open streams of events.' }),
    maxEventReaders: Type.Integer(),
    requestsPerSecond: absentable(Type.Number({ description: 'Absent: no limit.' })),
    webhooks: Type.Object(webhooks),
  },
  { description: "The account's own share." },
);

const host = Type.Object({
  id: Type.String(),
  devices: Type.Integer(),
  busy: share,
  delayMs: lateMs,
  mixLatenessMs: Type.Number({ description: "How late phones' mixes were made, in ms: the worst of late." }),
  framesSkipped: Type.Integer({ description: 'Frames of mixes that were left out since they were late.' }),
  isRetired: Type.Boolean({
    description: 'It takes no new devices: it is of an older version, or other settings.',
  }),
});

const connectedServer = { address: Type.String({ examples: ['127.0.0.1:9022'] }), connected: Type.Boolean() };

const whole = Type.Object(
  {
    startedAt: moment('When the gateway started.'),
    load: Type.Object({
      state: Type.Unsafe<'open' | 'full' | 'overloaded'>({
        type: 'string',
        enum: ['open', 'full', 'overloaded'],
        description:
          '`full`: all places of `PATCHBAY_MAX_CALLS` are taken; `overloaded`: calls were refused in the last 5 s.',
      }),
      busy: share,
      delayMs: lateMs,
      processors: Type.Number({ description: 'Processors that all threads of the gateway use.' }),
      devices: Type.Record(Type.String(), Type.Integer(), { description: 'Of all accounts.' }),
      maxCalls: absentable(Type.Integer({ description: 'Absent: no fixed limit.' })),
    }),
    gateways: listOf(
      Type.Object({
        id: Type.String(),
        address: absentable(
          Type.String({ description: 'Where the others reach it.', examples: ['192.0.2.11:7100'] }),
        ),
        leads: Type.Boolean({ description: 'It decides, and answers REST: this report is of it.' }),
        connected: Type.Boolean(),
        awaySince: absentable(moment('Since when it is not connected.')),
        devices: Type.Integer(),
      }),
      { description: 'All gateways of the database; empty without PostgreSQL.' },
    ),
    mediaHosts: listOf(host),
    mediaHostsLost: Type.Integer({ description: 'Media hosts that died since the start.' }),
    sip: Type.Object({
      server: Type.Unsafe<'embedded' | 'drachtio'>({ type: 'string', enum: ['embedded', 'drachtio'] }),
      connections: listOf(Type.Object(connectedServer)),
      uri: absentable(Type.String({ description: 'What phones call.', examples: ['sip:192.0.2.10:5060'] })),
    }),
    freeswitch: listOf(
      Type.Object({ ...connectedServer, calls: Type.Integer({ description: 'Of this gateway.' }) }),
      { description: 'Empty: none is configured.' },
    ),
    ports: Type.Object({
      http: Type.String({ examples: ['127.0.0.1:8080'] }),
      webrtc: Type.Integer({ description: 'UDP; with several media hosts the first of as many.' }),
      rtp: Type.Object({
        first: Type.Integer(),
        last: Type.Integer(),
        used: Type.Integer({ description: 'Two for each phone.' }),
      }),
    }),
    certificates: listOf(
      Type.Object({ usedFor: Type.String({ examples: ['SIP'] }), endsAt: moment('When it ends.') }),
    ),
    webhooks: Type.Object({
      ...webhooks,
      givenUp: Type.Integer({ description: 'Since the start.' }),
      dropped: Type.Integer({ description: 'Since the start.' }),
    }),
    store: Type.Object({
      writable: Type.Boolean(),
      waiting: Type.Integer({ description: 'Writes that are not on disk yet.' }),
      backedUpAt: absentable(moment('When the database was copied last.')),
    }),
    warnings: listOf(
      Type.Object({
        code: Type.String({ examples: ['DEVELOPMENT_ACCOUNT_OPEN'] }),
        message: Type.String(),
        advice: Type.String({ description: 'What to do about it.' }),
      }),
      { description: 'What is questionable about the configuration.' },
    ),
  },
  { description: 'The whole gateway; only for accounts of `PATCHBAY_OPERATORS`.' },
);

export const GatewaySchema = component(
  'Gateway',
  Type.Object({ version: Type.String(), own, gateway: absentable(whole) }),
);

export type OwnShare = Omit<Static<typeof own>, 'eventReaders' | 'maxEventReaders'>;
export type WholeGateway = Static<typeof whole>;
