import { randomUUID } from 'node:crypto';
import type { Logger } from 'pino';
import { collectDefaultMetrics, Registry } from 'prom-client';
import type { Readiness } from '../api/index.js';
import { startAnnouncements } from './announcements.js';
import { measureQuality } from './metrics/quality.js';
import { measureMedia } from './metrics/traffic.js';
import { startHttp } from './http.js';
import type { Config } from './read-config.js';
import { connectLocally, Desk, Edge } from '../cluster/index.js';
import { type Core, createCore } from '../core/index.js';
import { gatewayReports } from './gateway-report.js';
import { startLoadControl } from './load/index.js';
import { readyAddresses, startMedia } from './media.js';
import { startPhones } from './phones.js';
import { startTestCalls } from './test-calls.js';
import { Calls, TraceRing } from '../calls/index.js';
import { preparePrograms } from './programs.js';
import { type EventFeed, feedFromCore } from '../events/index.js';
import { clientAddresses, settledWithin, systemClock } from '../shared/index.js';
import { watchDescriptors } from './sockets.js';
import { openStoreAsLeader } from './standby.js';
import {
  measureBuild,
  measureEvents,
  measureLease,
  measureState,
  measureStore,
  measureTraces,
} from './metrics/state.js';
import { Teardown } from './teardown.js';
import { OwnCalls } from '../trial/index.js';
import { VERSION } from './version.js';
import { createUsage } from '../usage/index.js';

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
  /**
   * Prepares the process for its end with calls left to the next gateway: everything goes to disk. Nothing is closed.
   * @returns false when calls cannot be left, since the media plane is in this process
   */
  leave(): Promise<boolean>;
}

/**
 * Starts all parts, beginning with the store, and connects them.
 * @param endings called when this gateway must end at once
 * @throws Error of the part that could not start; those that had started are stopped, unless media hosts carry devices of
 *   an earlier gateway: these are left to the next one, and the process has to end at once
 */
export async function startGateway(config: Config, log: Logger, endings: Endings): Promise<Gateway> {
  const teardown = new Teardown();
  let carried = 0;
  const undo = (): Promise<void> =>
    teardown.run((part, error) => log.error({ part, err: error }, 'a part could not stop cleanly'));
  const onCarried = (devices: number): void => {
    carried = devices;
  };
  try {
    return await build(config, log, teardown, { undo, onCarried, ...endings });
  } catch (error) {
    if (carried > 0)
      log.warn({ devices: carried }, 'The calls of the previous gateway are left to the next one.');
    else await undo();
    throw error;
  }
}

/** Why a gateway must end at once, and has nothing left to do. */
interface Endings {
  /** A newer gateway of the data folder has taken the media hosts. */
  readonly onSuperseded: () => void;
  /** Another gateway has taken over the database. */
  readonly onDeposed: () => void;
  /** Aborts when the gateway is to stop: one that waits to become the leader gives up. */
  readonly quit: AbortSignal;
}

interface BuildHooks extends Endings {
  readonly undo: () => Promise<void>;
  /** Media hosts carry this many devices of an earlier gateway. */
  readonly onCarried: (devices: number) => void;
}

/** How long a new gateway waits for the data folder: the one that it replaces may still be ending. */
const LOCK_WAIT_MS = 5_000;
/** How long writing to disk may delay the exchange of the gateway. */
const LEAVE_MS = 1_000;

async function build(
  given: Config,
  log: Logger,
  teardown: Teardown,
  { undo, onSuperseded, onDeposed, onCarried, quit }: BuildHooks,
): Promise<Gateway> {
  let readiness: Readiness = 'starting';
  const metrics = new Registry();
  collectDefaultMetrics({ register: metrics });
  measureBuild(metrics, VERSION);

  const { store, lease } = await openStoreAsLeader(
    given,
    {
      dataDir: given.dataDir,
      backups: given.backups,
      tokenSecret: given.tokenSecret,
      lockWaitMs: LOCK_WAIT_MS,
      postgres: given.postgres,
      log: log.child({ part: 'store' }),
    },
    teardown,
    { onDeposed, quit },
  );
  teardown.add('store', () => store.close());
  // Only now, with the data folder locked: an earlier gateway may have held the ports until then.
  const config = await readyAddresses(given, log);
  const core = createCore({
    tokenSecret: store.tokenSecret,
    store: store.core,
    limits: {
      ...config.lifetimes,
      ...config.memory,
      devicesPerAccount: config.devicesPerAccount,
      noiseSuppressions: config.noiseSuppression.max,
    },
    suppressedKinds: config.noiseSuppression.kinds,
    log: log.child({ part: 'core' }),
  });
  const edge = new Edge({
    edgeId: 'local',
    process: randomUUID(),
    recognizes: (token) => core.recognizes(token),
    clock: systemClock,
    log: log.child({ part: 'edge' }),
  });
  const desk = new Desk({
    core,
    epoch: lease.epoch,
    calls: store.calls,
    clock: systemClock,
    log: log.child({ part: 'leader' }),
  });
  connectLocally(edge, desk);
  const usage = createUsage({ core, store: store.usage, log: log.child({ part: 'usage' }), ...config.usage });
  // Stopped after the core: the end of the last devices still goes into their usage records.
  teardown.add('usage', () => usage.stop());
  teardown.add('core', () => core.stop());
  measureState(metrics, core, usage);
  measureQuality(metrics, core);
  if (config.postgres) measureLease(metrics, lease);
  measureStore(metrics, () => store.health(), config.postgres === undefined);
  const media = await startMedia(config, log, onSuperseded);
  onCarried(media.carried().length);
  teardown.add('media', () => media.stop());
  measureMedia(metrics, media);
  const announcements = await startAnnouncements(config, log, teardown, { core, media, metrics });
  const { descriptors, stop } = await watchDescriptors(log, metrics);
  teardown.add('descriptors', stop);
  const load = startLoadControl(config, log, teardown, { media, metrics, descriptors });

  const ownCalls = new OwnCalls();
  const { traceBytes } = config.sip;
  const ring = traceBytes > 0 ? new TraceRing({ bytes: traceBytes }) : undefined;
  const calls = new Calls({ core, usage, ring, tokenHeaders: config.phone.tokenHeaders });
  measureTraces(metrics, ring, calls);
  const phones = await startPhones(config, log, teardown, {
    core,
    gate: edge,
    media,
    metrics,
    load,
    descriptors,
    calls: edge.calls,
    ownCalls,
    ring,
  });
  const events = readEvents(core, metrics, teardown);
  const testCalls = startTestCalls(config, log, teardown, {
    core,
    phones,
    metrics,
    events,
    ownCalls,
    announcements,
  });
  const sockets = {
    clientAddress: clientAddresses(config.trustedProxies),
    hasRoom: () => descriptors.forBrowsers,
    admit: (address: string) => load.admission.admit('page', address)?.retryAfterS,
  };
  const programs = preparePrograms(config, log, {
    core,
    gate: edge,
    media,
    metrics,
    store: store.programs,
    ...sockets,
  });
  const http = await startHttp(config, log, teardown, {
    core,
    gate: edge,
    media,
    usage,
    announcements,
    metrics,
    load,
    descriptors,
    sockets,
    programs,
    tokenSecret: store.tokenSecret,
    events,
    testCalls,
    sipUri: phones.address.sip,
    calls,
    gateway: await gatewayReports(config, { core, media, usage, store, load, phones }),
    // Before pages can connect. What is not carried on by now ended with the previous gateway.
    beforeListening: async () => {
      phones.deliverAgain();
      await media.releaseCarried();
      usage.closeCrashed();
      announcements.start();
    },
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
    async leave() {
      if (config.mediaHosts === 0) return false;
      // The next gateway could not go on with them.
      await testCalls.stop();
      core.drain();
      // Notes of calls for their media hosts are sent within this turn of the event loop.
      await new Promise((resolve) => setImmediate(resolve));
      await settledWithin(core.flush(), LEAVE_MS);
      return true;
    },
    async stop(hurry) {
      readiness = 'draining';
      core.drain();
      await testCalls.stop();
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

/** What happens in accounts, for whoever reads it by REST. */
function readEvents(core: Core, metrics: Registry, teardown: Teardown): EventFeed {
  const feed = feedFromCore(core, systemClock);
  measureEvents(metrics, feed);
  teardown.add('events', () => {
    feed.stop();
    return Promise.resolve();
  });
  return feed;
}
