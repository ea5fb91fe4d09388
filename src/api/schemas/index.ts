import { type Static, Type } from '@sinclair/typebox';
import { deviceComponents } from './device.js';
import { absentable, component, ErrorSchema, listOf, moment, pageOf, ref, text } from './shapes.js';
import {
  IceServersSchema,
  participantComponents,
  ParticipantDetailSchema,
  ParticipantSchema,
  subscriptionComponents,
} from './participant.js';
import { GatewaySchema } from './gateway.js';
import { programComponents } from './program.js';
import type { AnnouncementSchema, PlaySchema } from './media.js';
import { mediaComponents, mediaUrl } from './media.js';
import { testCallComponents } from './test-call.js';
import { callComponents } from './calls.js';
import { usageComponents } from './usage.js';

const waitingMusic = Type.Object(
  {
    mediaUrl: Type.Optional(mediaUrl),
    when: Type.Array(
      Type.Unsafe<'alone' | 'nobody-publishes'>({ type: 'string', enum: ['alone', 'nobody-publishes'] }),
      {
        uniqueItems: true,
        description:
          '`alone`: nobody else in the session is connected; `nobody-publishes`: others are, but none of them publishes ' +
          'audio. Empty: never.',
      },
    ),
  },
  {
    description:
      'What its phones hear while they hear nobody, repeated; without `mediaUrl` the music of the gateway. Default: the ' +
      'settings `PATCHBAY_WAITING_MUSIC` and `PATCHBAY_WAITING_WHEN`.',
  },
);

export const NewSessionSchema = component(
  'NewSession',
  Type.Object({
    tag: Type.Optional(text(50, 'Free text of the application.')),
    levelling: Type.Optional(
      Type.Boolean({
        description:
          'Whether phones hear quiet and loud talkers at about the same loudness. Default: the setting `PATCHBAY_LEVELLING`.',
      }),
    ),
    waitingMusic: Type.Optional(waitingMusic),
    joinTones: Type.Optional(
      Type.Boolean({
        description:
          'Whether a tone tells who enters and leaves, to those who would hear the participant. Default: the setting ' +
          '`PATCHBAY_JOIN_TONES`.',
      }),
    ),
  }),
);

const properties = {
  id: Type.String(),
  tag: absentable(Type.String()),
  levelling: absentable(Type.Boolean({ description: 'As it was given when the session was created.' })),
  waitingMusic: absentable(waitingMusic),
  joinTones: absentable(Type.Boolean({ description: 'As it was given when the session was created.' })),
  createdAt: moment('When it was created.'),
  expiresAt: moment('When it is deleted, and the devices in it disconnected.'),
};

export const SessionSchema = component('Session', Type.Object(properties));

/** A session with its members. */
export const SessionDetailSchema = component(
  'SessionDetail',
  Type.Object({ ...properties, participants: listOf(ref(ParticipantDetailSchema)) }),
);

const sessionComponents = [NewSessionSchema, SessionSchema, SessionDetailSchema];

export {
  DeviceChangeSchema,
  DeviceSchema,
  type DeviceSummaryView,
  type DeviceView,
  DtmfSchema,
} from './device.js';
export { type NewProgramBody, NewProgramSchema, ProgramSchema, type ProgramView } from './program.js';
export {
  type NewTestCallBody,
  NewTestCallSchema,
  TestCallSchema,
  TestCallsSchema,
  type TestCallView,
} from './test-call.js';
export { AnnouncementSchema, mediaName, PlaySchema, UploadSchema, UploadsSchema } from './media.js';
export { readErrors, writeErrors } from './shapes.js';
export { IceServersSchema } from './participant.js';
export { ListQuerySchema } from './shapes.js';
export {
  CreatedParticipantSchema,
  NewParticipantSchema,
  ParticipantChangeSchema,
  ParticipantDetailSchema,
  type ParticipantDetailView,
  type ParticipantView,
} from './participant.js';

export {
  CallPageSchema,
  CallQuerySchema,
  CallSchema,
  CallTraceSchema,
  type CallTraceView,
  type CallView,
  QualitySeriesSchema,
  type QualitySeriesView,
} from './calls.js';
export { GatewaySchema, type OwnShare, type WholeGateway } from './gateway.js';
export { listOf, optionalBody, ref } from './shapes.js';
export { NewSubscriptionsSchema, SubscriptionsSchema } from './participant.js';
export {
  FailedCallsSchema,
  type FailedCallsView,
  UsageQuerySchema,
  UsageReportSchema,
  type UsageReportView,
} from './usage.js';

export const SessionPageSchema = pageOf('SessionPage', SessionSchema);
export const ParticipantPageSchema = pageOf('ParticipantPage', ParticipantSchema);

/** All schemas that the OpenAPI document names. */
export const components = [
  ErrorSchema,
  ...subscriptionComponents,
  ...deviceComponents,
  ...programComponents,
  ...participantComponents,
  ...sessionComponents,
  SessionPageSchema,
  ParticipantPageSchema,
  ...mediaComponents,
  ...usageComponents,
  ...testCallComponents,
  ...callComponents,
  GatewaySchema,
  IceServersSchema,
];

export type AnnouncementView = Static<typeof AnnouncementSchema>;
export type PlayBody = Static<typeof PlaySchema>;
export type SessionView = Static<typeof SessionSchema>;
