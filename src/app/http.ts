import type { AddressInfo } from 'node:net';
import type { Logger } from 'pino';
import type { Registry } from 'prom-client';
import type { AnnouncementsPart } from '../announcements/index.js';
import { createApi, type GatewayFacts, type GatewayReports, type Readiness } from '../api/index.js';
import type { Calls } from '../calls/index.js';
import { consolePage } from '../console/index.js';
import type { Core, DeviceGate } from '../core/index.js';
import { BrowserServer, turnCredentials } from '../devices/browser/index.js';
import type { SocketGateOptions } from '../devices/socket-gate.js';
import { Upgrades } from '../devices/upgrades.js';
import type { EventFeed } from '../events/index.js';
import type { MediaPlane } from '../media/index.js';
import { secureRequests } from '../shared/index.js';
import type { TestCalls } from '../trial/index.js';
import type { Usage } from '../usage/index.js';
import type { LoadControl } from './load/index.js';
import { measureBrowsers, measureRefusedCredentials, measureRequests } from './metrics/traffic.js';
import type { preparePrograms } from './programs.js';
import { type Config, DEVELOPMENT_ACCOUNT } from './read-config.js';
import { type Descriptors, guardConnections } from './sockets.js';
import { explainListenError } from './start-error.js';
import type { Teardown } from './teardown.js';

interface HttpParts {
  readonly core: Core;
  readonly gate: DeviceGate;
  readonly media: MediaPlane;
  readonly load: LoadControl;
  readonly descriptors: Descriptors;
  /** Where phones call; undefined while no drachtio-server can be reached. */
  readonly sipUri: string | undefined;
  readonly sockets: Required<SocketGateOptions>;
  readonly programs: ReturnType<typeof preparePrograms>;
  readonly announcements: AnnouncementsPart;
  readonly events: EventFeed;
  readonly testCalls: TestCalls;
  readonly usage: Usage;
  readonly tokenSecret: string;
  readonly calls: Calls;
  readonly gateway: GatewayReports;
  readonly metrics: Registry;
  readonly readiness: () => Readiness;
  readonly about: GatewayFacts;
  readonly beforeListening: () => Promise<void>;
}

/**
 * Starts what listens on the HTTP port: REST, the console, and the WebSockets of pages and programs.
 * @throws Error when the port cannot be listened on
 */
export async function startHttp(
  config: Config,
  log: Logger,
  teardown: Teardown,
  {
    core,
    gate,
    media,
    load,
    descriptors,
    sockets,
    programs,
    announcements,
    beforeListening,
    ...options
  }: HttpParts,
) {
  const { accounts, operators, rateLimit, turn, metricsFor, docsFor } = config;
  // Valid as long as the participant's token.
  const { participantLifetimeMs } = config.lifetimes;
  const iceServers =
    turn && ((id: string) => [turnCredentials(turn, id, Date.now() + participantLifetimeMs)]);
  const onAnswered = measureRequests(options.metrics);
  const api = createApi({
    core,
    media: announcements.announcements,
    accounts,
    operators,
    developmentAccount: accounts.find((account) => account === DEVELOPMENT_ACCOUNT)?.id,
    rateLimit,
    iceServers,
    programs: programs.targets,
    clientAddress: sockets.clientAddress,
    isSecure: secureRequests(config.trustedProxies),
    onRefused: measureRefusedCredentials(options.metrics),
    onAnswered,
    metricsFor,
    docsFor,
    log,
    ...options,
  });
  const { trustedProxies } = config;
  guardConnections({ server: api.server, descriptors, metrics: options.metrics, trustedProxies });
  await api.register(consolePage, { core, iceServers: (id) => iceServers?.(id) ?? [] });
  const upgrades = new Upgrades(api.server);
  const browsers = new BrowserServer({
    ...sockets,
    upgrades,
    gate,
    media,
    log: log.child({ part: 'browser' }),
  });
  await browsers.restore(media.carried());
  load.countIn(() => browsers.counters().devices);
  measureBrowsers(options.metrics, () => browsers.counters());
  load.countIn(programs.devices);
  teardown.add('http', () => api.close());
  teardown.add('browsers', () => browsers.stop());
  await programs.serve(upgrades, teardown, sockets);
  await beforeListening();
  await api.listen(config.http).catch((error: unknown) => {
    throw explainListenError(error, { host: 'PATCHBAY_HTTP_HOST', port: 'PATCHBAY_HTTP_PORT' });
  });
  const { port } = api.server.address() as AddressInfo;
  return {
    address: { http: `http://${config.http.host}:${port}`, httpPort: port },
    /** Also those with requests under way. */
    cutConnections: () => api.server.closeAllConnections(),
  };
}
