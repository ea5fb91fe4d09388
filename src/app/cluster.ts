import { randomBytes, randomUUID } from 'node:crypto';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import type { Logger } from 'pino';
import type { Registry } from 'prom-client';
import type { OwnTraces } from '../calls/index.js';
import { Edge, EdgeDoor, LeaderLine } from '../cluster/index.js';
import { recognizerOf } from '../core/index.js';
import { settledWithin, systemClock } from '../shared/index.js';
import {
  Follower,
  Lease,
  LeaseTakenError,
  lockDataFolder,
  openStore,
  type PostgresTarget,
  readSecrets,
  type Store,
  type StoreOptions,
} from '../store/index.js';
import { startClusterServer } from './cluster-server.js';
import type { Leading } from './leading.js';
import { measureCluster } from './metrics/cluster.js';
import { measureLease } from './metrics/state.js';
import { Passing } from './passing.js';
import { unlessAborted } from './stopped-waiting.js';
import type { Config } from './read-config.js';
import type { Teardown } from './teardown.js';

/** How long a gateway that stops waits until the leader has counted what its devices did. */
const ACKNOWLEDGE_MS = 3_000;

/** When a gateway that could not take over tries it again. */
const RETRY_MS = 1_000;

export interface ClusterOptions {
  readonly leading: Leading;
  readonly metrics: Registry;
  /** How long to wait for the data folder, in ms. */
  readonly lockWaitMs: number;
  /** What is known of HTTP clients. */
  readonly clients: Pick<ConstructorParameters<typeof Passing>[0], 'clientAddress' | 'isSecure'>;
  /** What is kept of the SIP messages of this gateway's calls. */
  readonly traces: OwnTraces | undefined;
  /** This gateway was the leader, and another one has taken over: it must end. */
  readonly onDeposed: () => void;
  /** Aborts when the gateway is to stop. */
  readonly quit: AbortSignal;
}

/** How the devices of this gateway, and its requests for REST, come to the leader. */
export interface Joined {
  readonly edge: Edge;
  /** Answers a request for REST or the console, or has the leader answer it. */
  readonly passOn: (request: IncomingMessage, response: ServerResponse) => void;
  /** What only the gateways of the database know; undefined when there are no others. */
  readonly secret?: string;
}

/**
 * Joins the gateways of a PostgreSQL database. One of them leads: this one, as soon as it gets the lease. Until then it
 * follows the database, so that its state is there when its turn comes.
 */
export async function joinCluster(
  config: Config,
  log: Logger,
  teardown: Teardown,
  {
    leading,
    metrics,
    clients,
    traces,
    lockWaitMs,
    onDeposed,
    quit,
    target,
  }: ClusterOptions & { readonly target: PostgresTarget },
): Promise<Joined> {
  const { dataDir, cluster } = config;
  const storeLog = log.child({ part: 'store' });
  const lock = await lockDataFolder(dataDir, lockWaitMs);
  teardown.add('data folder', () => lock.release());
  const { tokenSecret, clusterSecret } = await readSecrets(target, config);
  const door = new EdgeDoor({ secret: clusterSecret, log: log.child({ part: 'leader' }) });
  const server = await startClusterServer({
    ...cluster,
    secret: clusterSecret,
    onEdge: (...upgrade) => door.upgrade(...upgrade),
    rest: () => leading.leader?.answer,
  });
  teardown.add('cluster server', () => server.stop());
  teardown.add('edges', () => door.stop());

  const id = await gatewayId(dataDir);
  const lease = await Lease.open({
    target,
    holder: `${hostname()} ${id}`,
    address: server.address,
    onDeposed,
    log: storeLog,
  });
  teardown.add('lease', () => lease.release());
  measureLease(metrics, { epoch: () => lease.epoch, isHeld: () => lease.isHeld });
  // After its devices have ended, and before another gateway may lead.
  teardown.add('leader', () => leading.end());

  const edge = new Edge({
    edgeId: id,
    process: randomUUID(),
    isRestoring: true,
    leaseMs: cluster.takesOver ? cluster.edgeLeaseMs : Infinity,
    address: server.listensAt,
    takesOver: cluster.takesOver,
    traces,
    recognizes: recognizerOf(tokenSecret),
    clock: systemClock,
    log: log.child({ part: 'edge' }),
  });
  measureCluster(metrics, { edge, door, desk: () => leading.leader?.desk });
  const line = new LeaderLine({
    edge,
    secret: clusterSecret,
    findLeader: () => lease.leader(),
    onLeader: (listener) => lease.onLeader(listener),
    log: log.child({ part: 'edge' }),
  });
  const passing = new Passing({ ...clients, secret: clusterSecret, leader: () => line.address, log });
  line.onChange(() => {
    if (line.address === undefined) passing.leaderLost();
  });
  teardown.add('passing', () => passing.stop());
  teardown.add('line to the leader', async () => {
    // The ends of its last devices.
    await settledWithin(edge.whenAcknowledged(), ACKNOWLEDGE_MS);
    edge.leave();
    line.stop();
  });

  const options = { dataDir, isLocked: true, tokenSecret, postgres: target, log: storeLog };
  let hasJoined = false;
  const openToLead = async (): Promise<Store> => {
    for (;;) {
      try {
        return await openWhenFree(lease, options, { onDeposed, quit });
      } catch (error) {
        // One that has the lease must lead, or end. At the start somebody has to learn what is wrong.
        if (quit.aborted || lease.isHeld || !hasJoined) throw error;
        log.error({ err: error }, 'The gateway could not take over as the leader: it tries again.');
        await pause(RETRY_MS, undefined, { signal: quit });
      }
    }
  };
  const lead = async (): Promise<void> => {
    const store = await openToLead();
    line.leaveLeader();
    const leader = await leading.lead(store, { epoch: lease.epoch, isHeld: () => lease.isHeld });
    door.lead(leader.desk);
    line.goLocal(leader.desk);
  };
  line.start();
  const leads = lead();
  leads.catch((error: unknown) => {
    if (quit.aborted || !hasJoined) return;
    log.fatal({ err: error }, 'The gateway could not take over as the leader: it ends.');
    onDeposed();
  });
  await unlessAborted(Promise.race([leads, line.whenConnected()]), quit);
  hasJoined = true;
  return {
    edge,
    secret: clusterSecret,
    passOn: (request, response) => {
      if (!leading.answer(request, response)) passing.passOn(request, response);
    },
  };
}

/** Opens the store as soon as no other gateway is the leader. @throws the signal's reason, StoreError */
async function openWhenFree(
  lease: Lease,
  options: Omit<StoreOptions, 'onDeposed' | 'claim' | 'follower'>,
  { onDeposed, quit }: Pick<ClusterOptions, 'onDeposed' | 'quit'>,
): Promise<Store> {
  const { log, postgres: target } = options;
  const leader = await lease.holder();
  const follower = leader === undefined ? undefined : await Follower.start({ target: target!, log });
  if (leader !== undefined) log.info({ leader }, 'Another gateway is the leader: this one follows.');
  try {
    for (;;) {
      await lease.whenFree(quit);
      try {
        return await openStore({
          ...options,
          onDeposed,
          claim: lease.claim,
          ...(follower && { follower }),
        });
      } catch (error) {
        if (!(error instanceof LeaseTakenError)) throw error;
      }
    }
  } finally {
    await follower?.stop();
  }
}

/** Names the gateway of a data folder, the same over restarts. */
async function gatewayId(dataDir: string): Promise<string> {
  const path = join(dataDir, 'gateway-id');
  await mkdir(dataDir, { recursive: true, mode: 0o700 });
  const made = randomBytes(8).toString('hex');
  try {
    await writeFile(path, made, { flag: 'wx', mode: 0o600 });
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'EEXIST')) throw error;
  }
  return (await readFile(path, 'utf8')).trim();
}
