import { Counter, Gauge, type Registry } from 'prom-client';
import type { Desk, Edge, EdgeDoor } from '../../cluster/index.js';

interface ClusterParts {
  readonly edge: Edge;
  readonly door: EdgeDoor;
  /** Undefined while this gateway is not the leader. */
  readonly desk: () => Desk | undefined;
}

/** Adds how the gateways of a database are joined to the metrics: what this one tells the leader, and as the leader, the others. */
export function measureCluster(metrics: Registry, { edge, door, desk }: ClusterParts): void {
  const registers = [metrics];
  new Gauge({
    name: 'patchbay_leader_connected',
    help: 'Whether this gateway is connected with the leader, which may be itself; 1 or 0',
    registers,
    collect() {
      this.set(edge.isConnected ? 1 : 0);
    },
  });
  new Gauge({
    name: 'patchbay_edge_lease_held',
    help: 'Whether no other gateway can have the calls of this one; 1 or 0',
    registers,
    collect() {
      this.set(edge.lease.isHeld ? 1 : 0);
    },
  });
  new Gauge({
    name: 'patchbay_edge_events_waiting',
    help: 'Events of devices that the leader has not acknowledged',
    registers,
    collect() {
      this.set(edge.history.waiting);
    },
  });
  new Counter({
    name: 'patchbay_edge_events_dropped_total',
    help: 'Events of devices that were dropped because too many waited for the leader',
    registers,
    collect() {
      this.reset();
      this.inc(edge.history.dropped);
    },
  });
  new Gauge({
    name: 'patchbay_edges',
    help: 'Gateways that the leader knows, itself included: connected, and away; 0 where the leader is another one',
    labelNames: ['state'],
    registers,
    collect() {
      const edges = desk()?.edges() ?? [];
      const connected = edges.filter(({ isConnected }) => isConnected).length;
      this.set({ state: 'connected' }, connected);
      this.set({ state: 'away' }, edges.length - connected);
    },
  });
  new Counter({
    name: 'patchbay_edge_connections_ended_total',
    help: 'Connections of other gateways that the leader refused or ended, by cause',
    labelNames: ['cause'],
    registers,
    collect() {
      const { refused, ended } = door.counters();
      this.reset();
      for (const [cause, count] of Object.entries({ ...refused, ...ended })) this.inc({ cause }, count);
    },
  });
}
