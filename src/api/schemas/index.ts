import { deviceComponents } from './device.js';
import { ErrorSchema } from './error.js';
import { IceServersSchema } from './ice-servers.js';
import { pageOf } from './page.js';
import { participantComponents, ParticipantSchema } from './participant.js';
import { sessionComponents, SessionSchema } from './session.js';
import { subscriptionComponents } from './subscriptions.js';
import { usageComponents } from './usage.js';

export { DeviceChangeSchema, DeviceSchema, type DeviceSummaryView, type DeviceView } from './device.js';
export { ErrorSchema, readErrors, writeErrors } from './error.js';
export { IceServersSchema } from './ice-servers.js';
export { ListQuerySchema } from './page.js';
export {
  CreatedParticipantSchema,
  NewParticipantSchema,
  ParticipantDetailSchema,
  type ParticipantDetailView,
  type ParticipantView,
} from './participant.js';
export { NewSessionSchema, SessionDetailSchema, SessionSchema, type SessionView } from './session.js';
export { listOf, optionalBody, ref } from './shapes.js';
export { NewSubscriptionsSchema, SubscriptionsSchema } from './subscriptions.js';
export { UsageQuerySchema, UsageReportSchema, type UsageReportView } from './usage.js';

export const SessionPageSchema = pageOf('SessionPage', SessionSchema);
export const ParticipantPageSchema = pageOf('ParticipantPage', ParticipantSchema);

/** Everything that has a name of its own in the OpenAPI document. */
export const components = [
  ErrorSchema,
  ...subscriptionComponents,
  ...deviceComponents,
  ...participantComponents,
  ...sessionComponents,
  SessionPageSchema,
  ParticipantPageSchema,
  ...usageComponents,
  IceServersSchema,
];
