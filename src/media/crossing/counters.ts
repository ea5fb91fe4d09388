import type { CrossingCounters } from '../door.js';
import type { PipeCounters } from '../pipe/index.js';

export const NO_CROSSINGS: CrossingCounters = {
  connected: 0,
  connections: 0,
  failures: 0,
  refused: 0,
  packetsSent: 0,
  packetsReceived: 0,
  packetsDropped: 0,
  bytesSent: 0,
  bytesReceived: 0,
};

export function sumOfCrossings(a: CrossingCounters, b: CrossingCounters): CrossingCounters {
  const names = Object.keys(NO_CROSSINGS) as (keyof CrossingCounters)[];
  return Object.fromEntries(names.map((name) => [name, a[name] + b[name]])) as Record<
    keyof CrossingCounters,
    number
  >;
}

export function countersOf({ isConnected, ...counts }: PipeCounters): CrossingCounters {
  return { ...counts, connected: isConnected ? 1 : 0, refused: 0 };
}
