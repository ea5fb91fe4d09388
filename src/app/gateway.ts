import type { Logger } from 'pino';
import { collectDefaultMetrics, Registry } from 'prom-client';
import type { Readiness } from '../api/index.js';
import { OwnTraces, TraceRing } from '../calls/index.js';
import { clientAddresses, secureRequests, settledWithin } from '../shared/index.js';
import { OwnCalls } from '../trial/index.js';
import { joinCrossings } from './crossings.js';
import { unlessAborted } from './stopped-waiting.js';
import { prepareHttp } from './http.js';
import { joinLeader } from './join-leader.js';
import { Leading } from './leading.js';
import { startLoadControl } from './load/index.js';
import { readyAddresses, startMedia } from './media.js';
import { measureBuild, measureTraces } from './metrics/state.js';
import { measureMedia, measureRequests } from './metrics/traffic.js';
import { startPhones } from './phones.js';
import type { Config } from './read-config.js';
import { watchDescriptors } from './sockets.js';
import { Teardown } from './teardown.js';
import { VERSION } from './version.js';

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
  /** Aborts when the gateway is to stop: one that waits for a leader gives up. */
  readonly quit: AbortSignal;
}

interface BuildHooks extends Endings {
  readonly undo: () => Promise<void>;
  /** Media hosts carry this many devices of an earlier gateway. */
  readonly onCarried: (devices: number) => void;
}

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
  // More precisely, it would wake an idle gateway a hundred times a second.
  collectDefaultMetrics({ register: metrics, eventLoopMonitoringPrecision: 100 });
  measureBuild(metrics, VERSION);
  const clients = {
    clientAddress: clientAddresses(given.trustedProxies),
    isSecure: secureRequests(given.trustedProxies),
  };
  const { traceBytes } = given.sip;
  const ring = traceBytes > 0 ? new TraceRing({ bytes: traceBytes }) : undefined;
  measureTraces(metrics, ring);
  const leading = new Leading({ config: given, log, metrics });
  const { edge, passOn, secret } = await joinLeader(given, log, teardown, {
    leading,
    metrics,
    clients,
    traces: ring && new OwnTraces({ ring, tokenHeaders: given.phone.tokenHeaders }),
    onDeposed,
    quit,
  });
  // Only now, with the data folder locked: an earlier gateway may have held the ports until then.
  const config = await readyAddresses(given, log);
  const pipeHost = secret === undefined ? undefined : config.cluster.host;
  const media = await startMedia(config, log, onSuperseded, pipeHost);
  if (secret !== undefined) joinCrossings(edge, media, secret);
  onCarried(media.carried().length);
  teardown.add('media', () => media.stop());
  measureMedia(metrics, media);
  const { descriptors, stop } = await watchDescriptors(log, metrics);
  teardown.add('descriptors', stop);
  const load = startLoadControl(config, log, teardown, { media, metrics, descriptors });

  const ownCalls = new OwnCalls();
  edge.lease.onGranted((ms) => media.sendToPhonesFor(ms));
  const phones = await startPhones(config, log, teardown, {
    gate: edge,
    lease: edge.lease,
    gatewayId: secret === undefined ? undefined : edge.id,
    media,
    metrics,
    load,
    descriptors,
    calls: {
      calls: () => unlessAborted(edge.calls.calls(), quit),
      saveCall: (id, document) => edge.calls.saveCall(id, document),
      deleteCall: (id) => edge.calls.deleteCall(id),
    },
    ownCalls,
    ring,
  });
  const onAnswered = measureRequests(metrics);
  const http = await prepareHttp(config, log, teardown, {
    ...{ gate: edge, media, load, descriptors, metrics, passOn, onAnswered },
    sockets: {
      clientAddress: clients.clientAddress,
      hasRoom: () => descriptors.forBrowsers,
      admit: (address: string) => load.admission.admit('page', address)?.retryAfterS,
    },
    readiness: () => {
      if (readiness !== 'ready') return readiness;
      if (!edge.isConnected) return 'no-leader';
      if (leading.leader?.store.health().writable === false) return 'store-unavailable';
      return load.admission.lasting ? 'overloaded' : 'ready';
    },
  });
  teardown.add('services of the leader', () => leading.endServices());
  await leading.serve({
    config,
    media,
    phones,
    programs: http.programs,
    load,
    edgeId: edge.id,
    ownCalls,
    clients,
    onAnswered,
  });
  edge.restored();
  edge.onTakeOver((call) => phones.takeOver(call));
  // A new leader waits for other gateways before it says what devices receive.
  await unlessAborted(edge.whenSettled(), quit);
  // Before pages can connect.
  phones.deliverAgain();
  await media.releaseCarried();
  leading.begin();
  const address = await http.listen();
  readiness = 'ready';

  return {
    addresses: { ...address, ...phones.address, webrtcPort: config.webrtc.port },
    metrics,
    async leave() {
      if (config.mediaHosts === 0) return false;
      // The next gateway could not go on with them.
      await leading.leader?.endTestCalls();
      edge.drain();
      // Notes of calls for their media hosts are sent within this turn of the event loop.
      await new Promise((resolve) => setImmediate(resolve));
      await settledWithin(edge.flush(), LEAVE_MS);
      return true;
    },
    async stop(hurry) {
      readiness = 'draining';
      edge.drain();
      await leading.leader?.endTestCalls();
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
