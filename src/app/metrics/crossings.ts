import { Counter, Gauge, type Registry } from 'prom-client';
import type { CrossingCounters } from '../../media/index.js';

/** Adds the pipes by which streams go between this gateway and others to the metrics. */
export function measureCrossings(metrics: Registry, counters: () => CrossingCounters): void {
  const registers = [metrics];
  new Gauge({
    name: 'patchbay_crossing_pipes',
    help: 'Pipes between media hosts of this gateway and of others that are up, of each direction',
    registers,
    collect() {
      this.set(counters().connected);
    },
  });
  new Counter({
    name: 'patchbay_crossing_connections_total',
    help: 'Connections of pipes between gateways: those that came up, attempts that failed, and strangers that were refused',
    labelNames: ['outcome'],
    registers,
    collect() {
      const { connections, failures, refused } = counters();
      this.reset();
      this.inc({ outcome: 'up' }, connections);
      this.inc({ outcome: 'failed' }, failures);
      this.inc({ outcome: 'refused' }, refused);
    },
  });
  new Counter({
    name: 'patchbay_crossing_packets_total',
    help: 'RTP packets that went between gateways, and those that did not since the other end did not read',
    labelNames: ['direction'],
    registers,
    collect() {
      const { packetsSent, packetsReceived, packetsDropped } = counters();
      this.reset();
      this.inc({ direction: 'sent' }, packetsSent);
      this.inc({ direction: 'received' }, packetsReceived);
      this.inc({ direction: 'dropped' }, packetsDropped);
    },
  });
  new Counter({
    name: 'patchbay_crossing_bytes_total',
    help: 'Bytes that went between gateways by pipes, without the headers of TCP and IP',
    labelNames: ['direction'],
    registers,
    collect() {
      const { bytesSent, bytesReceived } = counters();
      this.reset();
      this.inc({ direction: 'sent' }, bytesSent);
      this.inc({ direction: 'received' }, bytesReceived);
    },
  });
}
