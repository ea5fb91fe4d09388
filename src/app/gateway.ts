import type { AddressInfo } from 'node:net';
import type { Logger } from 'pino';
import { collectDefaultMetrics, Registry } from 'prom-client';
import { createApi, type GatewayFacts, type Readiness } from '../api/index.js';
import { BrowserServer, turnCredentials } from '../devices/browser/index.js';
import { measureBrowsers, measureMedia, measureRequests } from './metrics/traffic.js';
import type { Config } from './read-config.js';
import { consolePage } from '../console/index.js';
import { type Core, createCore } from '../core/index.js';
import { type LoadControl, startLoadControl } from './load-control.js';
import { createMediaPlane, type MediaPlane } from '../media/index.js';
import { readyAddresses } from './media-addresses.js';
import { startPhones } from './phones.js';
import { explainListenError } from './start-error.js';
import { clientAddresses, settledWithin } from '../shared/index.js';
import { type Descriptors, guardConnections, watchDescriptors } from './sockets.js';
import { openStore } from '../store/index.js';
import { measureBuild, measureState, measureStore } from './metrics/state.js';
import { Teardown } from './teardown.js';
import { VERSION } from './version.js';
import { createUsage, type Usage } from '../usage/index.js';

export interface Gateway {
  /** Where it listens; a port configured as 0 is here the one that the system chose. */
  readonly addresses: {
    readonly http: string;
    readonly httpPort: number;
    /** Absent while no drachtio-server can be reached. */
    readonly sip?: string;
    readonly sipPort?: number;
    readonly webrtcPort: number;
  };
  readonly metrics: Registry;
  /**
   * Takes no new calls, waits for those in progress as configured, hangs up the rest and frees everything.
   * @param hurry when it aborts, the waiting ends and the remaining calls are hung up at once
   */
  stop(hurry?: AbortSignal): Promise<void>;
}

/**
 * Starts all parts, beginning with the store, and connects them.
 * @throws Error of the part that could not start; those that had started are stopped
 */
export async function startGateway(config: Config, log: Logger): Promise<Gateway> {
  const teardown = new Teardown();
  const undo = (): Promise<void> =>
    teardown.run((part, error) => log.error({ part, err: error }, 'a part could not stop cleanly'));
  try {
    return await build(config, log, teardown, undo);
  } catch (error) {
    await undo();
    throw error;
  }
}

async function build(
  given: Config,
  log: Logger,
  teardown: Teardown,
  undo: () => Promise<void>,
): Promise<Gateway> {
  let readiness: Readiness = 'starting';
  const metrics = new Registry();
  collectDefaultMetrics({ register: metrics });
  measureBuild(metrics, VERSION);

  const store = await openStore({
    dataDir: given.dataDir,
    backups: given.backups,
    tokenSecret: given.tokenSecret,
    log: log.child({ part: 'store' }),
  });
  teardown.add('store', () => store.close());
  // Not before: a gateway that has the data folder still may have the ports too.
  const config = await readyAddresses(given, log);
  const core = createCore({
    tokenSecret: store.tokenSecret,
    store: store.core,
    limits: { ...config.lifetimes, ...config.memory, devicesPerAccount: config.devicesPerAccount },
    log: log.child({ part: 'core' }),
  });
  const usage = createUsage({ core, store: store.usage, log: log.child({ part: 'usage' }), ...config.usage });
  // Stopped after the core: the end of the last devices still goes into their usage records.
  teardown.add('usage', () => usage.stop());
  teardown.add('core', () => core.stop());
  measureState(metrics, core, usage);
  measureStore(metrics, () => store.health());
  const mediaOptions = {
    rtpHost: config.rtp.host,
    rtpPorts: config.rtp.ports,
    webrtcHost: config.webrtc.host,
    webrtcPort: config.webrtc.port,
    ...(config.publicIp === undefined ? {} : { publicIp: config.publicIp }),
    mediaTimeoutMs: config.mediaTimeoutMs,
    phoneCodecs: config.phoneCodecs,
    asymmetricRtp: config.rtp.asymmetric,
    passHeldAudio: config.passHeldAudio,
    opusDtx: config.opusDtx,
  };
  // The plane's errors come as plain data, as they are to be written.
  const mediaLog = log.child({ part: 'media' }, { serializers: { err: (error: unknown) => error } });
  const media = createMediaPlane(mediaOptions, ({ level, fields, message }) =>
    mediaLog[level](fields, message),
  );
  teardown.add('media', () => media.stop());
  measureMedia(metrics, media);
  const { descriptors, stop } = await watchDescriptors(log, metrics);
  teardown.add('descriptors', stop);
  const load = startLoadControl(config, log, teardown, { media, metrics, descriptors });

  // Before the ports: what was not carried over by now has crashed with the gateway before.
  usage.closeCrashed();
  const phones = await startPhones(config, log, teardown, { core, media, metrics, load, descriptors });
  const http = await startHttp(config, log, teardown, {
    core,
    media,
    usage,
    metrics,
    load,
    descriptors,
    about: {
      version: VERSION,
      sessionHours: config.lifetimes.sessionLifetimeMs / 3_600_000,
      requestsPerSecond: config.rateLimit?.requests,
      ...config.memory,
      devicesPerAccount: config.devicesPerAccount,
    },
    readiness: () => {
      if (readiness !== 'ready') return readiness;
      if (!store.health().writable) return 'store-unavailable';
      return load.admission.lasting ? 'overloaded' : 'ready';
    },
  });
  readiness = 'ready';

  return {
    addresses: { ...http.address, ...phones.address, webrtcPort: config.webrtc.port },
    metrics,
    async stop(hurry) {
      readiness = 'draining';
      core.drain();
      const hurried = new Promise<void>((resolve) => {
        hurry?.addEventListener('abort', () => {
          resolve();
          phones.hangUp();
          http.cutConnections();
        });
      });
      await settledWithin(Promise.race([phones.drain(), hurried]), config.drainMs);
      // Before the teardown: there a slow REST request would delay the BYEs.
      phones.hangUp();
      await undo();
    },
  };
}

interface Parts {
  readonly core: Core;
  readonly media: MediaPlane;
  readonly load: LoadControl;
  readonly descriptors: Descriptors;
}

async function startHttp(
  config: Config,
  log: Logger,
  teardown: Teardown,
  {
    core,
    media,
    load,
    descriptors,
    ...options
  }: Parts & { usage: Usage; metrics: Registry; readiness: () => Readiness; about: GatewayFacts },
) {
  const { accounts, rateLimit, turn, metricsFor, docsFor } = config;
  const clientAddress = clientAddresses(config.trustedProxies);
  // Valid as long as the participant's token.
  const { participantLifetimeMs } = config.lifetimes;
  const iceServers =
    turn && ((id: string) => [turnCredentials(turn, id, Date.now() + participantLifetimeMs)]);
  const onAnswered = measureRequests(options.metrics);
  const api = createApi({
    core,
    accounts,
    rateLimit,
    iceServers,
    clientAddress,
    onAnswered,
    metricsFor,
    docsFor,
    log,
    ...options,
  });
  const { trustedProxies } = config;
  guardConnections({ server: api.server, descriptors, metrics: options.metrics, trustedProxies });
  await api.register(consolePage, {
    iceServers: (token) => {
      const { id } = core.authenticate(token);
      return iceServers?.(id) ?? [];
    },
  });
  const browsers = new BrowserServer({
    server: api.server,
    gate: core,
    media,
    clientAddress,
    hasRoom: () => descriptors.forBrowsers,
    admit: (address) => load.admission.admit('page', address)?.retryAfterS,
    log: log.child({ part: 'browser' }),
  });
  load.countIn(() => browsers.counters().devices);
  measureBrowsers(options.metrics, () => browsers.counters());
  teardown.add('http', () => api.close());
  teardown.add('browsers', () => browsers.stop());
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
