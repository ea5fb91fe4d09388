import type { Core, DeviceGate } from '../../core/index.js';
import { type Clock, systemClock } from '../../shared/index.js';
import { silentLog } from '../../shared/testing/index.js';
import { connectLocally, Desk, Edge } from '../index.js';

/** A core in this process as devices see it. */
export function gateOf(core: Core, clock: Clock = systemClock): DeviceGate {
  const edge = new Edge({
    edgeId: 'local',
    process: 'test',
    recognizes: (token) => core.recognizes(token),
    clock,
    log: silentLog,
  });
  connectLocally(edge, new Desk({ core, epoch: 1, clock, log: silentLog }));
  return edge;
}
