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
import { programComponents } from './program.js';
import { usageComponents } from './usage.js';

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
  }),
);

const properties = {
  id: Type.String(),
  tag: absentable(Type.String()),
  levelling: absentable(Type.Boolean({ description: 'As it was given when the session was created.' })),
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
  ...usageComponents,
  IceServersSchema,
];

export type SessionView = Static<typeof SessionSchema>;
