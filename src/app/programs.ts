import type { Logger } from 'pino';
import type { Registry } from 'prom-client';
import type { Core, DeviceGate } from '../core/index.js';
import { ProgramServer, Programs, ProgramTargets } from '../devices/program/index.js';
import type { SocketGateOptions } from '../devices/socket-gate.js';
import type { Upgrades } from '../devices/upgrades.js';
import type { MediaPlane } from '../media/index.js';
import type { Store } from '../store/index.js';
import { TargetGuard } from '../usage/index.js';
import { measurePrograms, measureTargets } from './metrics/programs.js';
import type { Config } from './read-config.js';
import type { Teardown } from './teardown.js';

interface ProgramParts {
  readonly gate: DeviceGate;
  readonly media: MediaPlane;
  readonly metrics: Registry;
  readonly upgrades: Upgrades;
  readonly sockets: Required<SocketGateOptions>;
}

/** The programs that are connected to this gateway. */
export interface ProgramsPart {
  /** Has the gateway connect to programs, as applications ask the leader for. */
  connectTo(
    parts: { readonly core: Core; readonly store: Store['programs'] },
    teardown: Teardown,
  ): Promise<ProgramTargets>;
  devices(): number;
}

/** Goes on with the programs of the gateway before, and lets others connect. */
export async function servePrograms(
  config: Config,
  log: Logger,
  teardown: Teardown,
  { gate, media, metrics, upgrades, sockets }: ProgramParts,
): Promise<ProgramsPart> {
  const programs = new Programs({
    gate,
    media,
    graceMs: config.programGraceMs,
    log: log.child({ part: 'program' }),
  });
  const carried = media.carried();
  const server = new ProgramServer({ ...sockets, upgrades, programs });
  await server.restore(carried);
  measurePrograms(metrics, () => server.counters());
  teardown.add('programs', () => server.stop());
  return {
    async connectTo({ core, store }, services) {
      const guard = new TargetGuard(config.usage.webhooks.targets);
      const { hasRoom, admit } = sockets;
      const targets = new ProgramTargets({ core, programs, guard, hasRoom, admit }, store);
      await targets.restore(carried);
      measureTargets(metrics, () => targets.counts());
      services.add('program targets', () => targets.stop());
      return targets;
    },
    devices: () => programs.size,
  };
}
