import { randomUUID } from 'node:crypto';
import type { Logger } from 'pino';
import { connectLocally, Edge } from '../cluster/index.js';
import { systemClock } from '../shared/index.js';
import { openStore } from '../store/index.js';
import { type ClusterOptions, joinCluster, type Joined } from './cluster.js';
import type { Config } from './read-config.js';
import type { Teardown } from './teardown.js';

/** How long a new gateway waits for the data folder: the one that it replaces may still be ending. */
const LOCK_WAIT_MS = 5_000;

/**
 * Joins this gateway with the leader: itself, or with PostgreSQL whichever gateway of the database leads. Resolves when
 * there is one.
 * @throws StoreError that says what is wrong, and what to do; StoppedWaiting
 */
export async function joinLeader(
  config: Config,
  log: Logger,
  teardown: Teardown,
  options: Omit<ClusterOptions, 'lockWaitMs'>,
): Promise<Joined> {
  if (config.postgres)
    return joinCluster(config, log, teardown, {
      ...options,
      target: config.postgres,
      lockWaitMs: LOCK_WAIT_MS,
    });
  const { leading } = options;
  const store = await openStore({
    dataDir: config.dataDir,
    backups: config.backups,
    tokenSecret: config.tokenSecret,
    lockWaitMs: LOCK_WAIT_MS,
    log: log.child({ part: 'store' }),
  });
  // There is no other.
  const leader = await leading.lead(store, { epoch: 1, isHeld: () => true });
  teardown.add('leader', () => leading.end());
  const edge = new Edge({
    edgeId: 'local',
    process: randomUUID(),
    isRestoring: true,
    traces: options.traces,
    recognizes: (token) => leader.core.recognizes(token),
    clock: systemClock,
    log: log.child({ part: 'edge' }),
  });
  connectLocally(edge, leader.desk);
  return {
    edge,
    passOn: (request, response) => void leading.answer(request, response),
  };
}
