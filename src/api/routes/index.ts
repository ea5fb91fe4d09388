import type { SessionControl } from '../../core/index.js';
import { CsvStreams } from '../csv-streams.js';
import type { Api } from '../instance.js';
import { Slices } from '../slices.js';
import { type CallReports, callRoutes } from './calls.js';
import { deviceRoutes } from './devices.js';
import { type GatewayReports, gatewayRoutes } from './gateway.js';
import { iceServerRoutes, type IceServers, participantRoutes } from './participants.js';
import { memberRoutes, subscriptionRoutes } from './members.js';
import { type ProgramControl, programRoutes } from './programs.js';
import { type AccountEvents, eventRoutes } from './events.js';
import { announcementRoutes, type MediaControl, uploadRoutes } from './media.js';
import { type TestCallControl, testCallRoutes } from './test-calls.js';
import { sessionRoutes } from './sessions.js';
import { failedCallRoutes, type UsageReports, usageRoutes } from './usage.js';

export type { CallReports } from './calls.js';
export type { AccountEvents } from './events.js';
export type { GatewayReports } from './gateway.js';
export type { MediaControl } from './media.js';
export type { IceServers } from './participants.js';
export type { ProgramControl } from './programs.js';
export type { TestCallControl } from './test-calls.js';
export type { UsageReports } from './usage.js';

/** All routes of an account. */
export function accountRoutes(
  api: Api,
  {
    core,
    usage,
    programs,
    media,
    events,
    testCalls,
    calls,
    gateway,
    operators,
    iceServers,
  }: {
    core: SessionControl;
    usage: UsageReports;
    programs: ProgramControl;
    media: MediaControl;
    events: AccountEvents;
    testCalls: TestCallControl;
    calls: CallReports;
    gateway: GatewayReports;
    operators: readonly string[];
    iceServers: IceServers;
  },
): void {
  const slices = new Slices();
  const csvStreams = new CsvStreams();
  sessionRoutes(api, core, slices, (accountId, mediaUrl) => media.check(accountId, mediaUrl));
  memberRoutes(api, core, slices);
  subscriptionRoutes(api, core);
  participantRoutes(api, core, slices, (url) => usage.callbackRefusal(url));
  deviceRoutes(api, core);
  programRoutes(api, programs);
  announcementRoutes(api, core, media);
  uploadRoutes(api, media);
  eventRoutes(api, events);
  testCallRoutes(api, testCalls);
  usageRoutes(api, usage, { slices, csvStreams });
  failedCallRoutes(api, usage, slices);
  callRoutes(api, calls, { slices, csvStreams });
  gatewayRoutes(api, { reports: gateway, events, operators });
  iceServerRoutes(api, core, iceServers);
}
