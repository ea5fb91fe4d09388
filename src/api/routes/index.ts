import type { SessionControl } from '../../core/index.js';
import type { Api } from '../instance.js';
import { deviceRoutes } from './devices.js';
import { memberRoutes } from './members.js';
import { participantRoutes } from './participants.js';
import { sessionRoutes } from './sessions.js';
import { subscriptionRoutes } from './subscriptions.js';
import { type UsageReports, usageRoutes } from './usage.js';

export type { UsageReports } from './usage.js';

/** Everything that an application can do to its account. */
export function accountRoutes(api: Api, core: SessionControl, usage: UsageReports): void {
  sessionRoutes(api, core);
  memberRoutes(api, core);
  subscriptionRoutes(api, core);
  participantRoutes(api, core);
  deviceRoutes(api, core);
  usageRoutes(api, usage);
}
