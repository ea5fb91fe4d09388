import { Counter, Gauge, Histogram, type Registry } from 'prom-client';
import type { Calls } from '../../calls/index.js';
import type { Core, DeviceQuality } from '../../core/index.js';

const DIRECTIONS: readonly (keyof DeviceQuality)[] = ['received', 'sent'];

/** Adds how the audio of each device fared, once it has ended, to the metrics. */
export function measureQuality(metrics: Registry, core: Pick<Core, 'on'>): void {
  const histogram = (name: string, help: string, buckets: number[]) =>
    new Histogram({ name, help, buckets, labelNames: ['kind', 'direction'] as const, registers: [metrics] });
  const score = histogram(
    'patchbay_audio_mos',
    'Mean opinion score (E-model) of devices that ended, over their whole time',
    [1.5, 2, 2.5, 3, 3.3, 3.6, 3.8, 4, 4.2, 4.3, 4.4],
  );
  const loss = histogram(
    'patchbay_audio_loss_ratio',
    'Share of the audio packets of devices that ended that was lost or came too late',
    [0.001, 0.003, 0.01, 0.02, 0.03, 0.05, 0.1, 0.2, 0.5],
  );
  const jitter = histogram(
    'patchbay_audio_jitter_seconds',
    'Jitter of the audio of devices that ended, at last',
    [0.001, 0.003, 0.005, 0.01, 0.02, 0.03, 0.05, 0.1, 0.2],
  );
  const roundTrip = new Histogram({
    name: 'patchbay_audio_round_trip_seconds',
    help: 'Round trip to devices that ended, at last',
    buckets: [0.005, 0.01, 0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.5, 1],
    labelNames: ['kind'] as const,
    registers: [metrics],
  });
  core.on('measured', ({ device: { kind }, quality }) => {
    for (const direction of DIRECTIONS) {
      const { packets, lost, discarded = 0, jitterMs, roundTripMs, mos } = quality[direction];
      const labels = { kind, direction };
      if (mos !== undefined) score.observe(labels, mos);
      if (jitterMs !== undefined) jitter.observe(labels, jitterMs / 1000);
      if (lost !== undefined) {
        // The gateway does not know of what it sent how much came: there, all that was sent counts.
        const expected = direction === 'received' ? packets + lost : packets;
        if (expected > 0) loss.observe(labels, Math.min(1, (lost + discarded) / expected));
      }
      if (direction === 'sent' && roundTripMs !== undefined) roundTrip.observe({ kind }, roundTripMs / 1000);
    }
  });
}

/** Adds what is kept of how calls sounded over their time. */
export function measureQualityHistory(metrics: Registry, calls: Pick<Calls, 'qualityCounts'>): void {
  const registers = [metrics];
  new Gauge({
    name: 'patchbay_quality_history_bytes',
    help: 'Memory that the quality of calls over their time takes',
    registers,
    collect() {
      this.set(calls.qualityCounts.bytes);
    },
  });
  new Counter({
    name: 'patchbay_quality_history_dropped_total',
    help: 'Devices whose quality over time is not kept, since their account had too many at once',
    registers,
    collect() {
      this.reset();
      this.inc(calls.qualityCounts.dropped);
    },
  });
}
