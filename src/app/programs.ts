import type { Logger } from 'pino';
import type { Registry } from 'prom-client';
import type { Core, DeviceGate } from '../core/index.js';
import { ProgramServer, Programs, ProgramTargets } from '../devices/program/index.js';
import type { SocketGateOptions } from '../devices/socket-gate.js';
import type { Upgrades } from '../devices/upgrades.js';
import type { MediaPlane } from '../media/index.js';
import type { Store } from '../store/index.js';
import { TargetGuard } from '../usage/index.js';
import { measurePrograms } from './metrics/programs.js';
import type { Config } from './read-config.js';
import type { Teardown } from './teardown.js';

interface ProgramParts {
  readonly core: Core;
  readonly gate: DeviceGate;
  readonly media: MediaPlane;
  readonly metrics: Registry;
  readonly store: Store['programs'];
  readonly hasRoom: () => boolean;
  readonly admit: (address: string) => number | undefined;
}

/** Makes what programs need. Nobody is connected before they are served. */
export function preparePrograms(config: Config, log: Logger, parts: ProgramParts) {
  const { core, gate, media, metrics, store, hasRoom, admit } = parts;
  const programs = new Programs({
    gate,
    core,
    media,
    graceMs: config.programGraceMs,
    log: log.child({ part: 'program' }),
  });
  const guard = new TargetGuard(config.usage.webhooks.targets);
  const targets = new ProgramTargets({ core, programs, guard, hasRoom, admit }, store);
  return {
    targets,
    /** Goes on with the programs of the gateway before, and lets others connect. */
    async serve(upgrades: Upgrades, teardown: Teardown, sockets: SocketGateOptions): Promise<void> {
      const server = new ProgramServer({ ...sockets, upgrades, programs });
      const carried = media.carried();
      await server.restore(carried);
      await targets.restore(carried);
      measurePrograms(
        metrics,
        () => server.counters(),
        () => targets.counts(),
      );
      teardown.add('programs', async () => {
        targets.stop();
        await server.stop();
      });
    },
    devices: () => programs.size,
  };
}
