import { Counter, Gauge, type Registry } from 'prom-client';
import type { ProgramCounters, TargetCounts } from '../../devices/program/index.js';

/** Adds the WebSockets of programs, refused ones, and audio that was lost to the metrics. */
export function measurePrograms(metrics: Registry, counters: () => ProgramCounters): void {
  const registers = [metrics];
  new Gauge({
    name: 'patchbay_program_sockets',
    help: 'Open WebSockets that programs made',
    registers,
    collect() {
      this.set(counters().sockets);
    },
  });
  new Counter({
    name: 'patchbay_program_refusals_total',
    help: 'WebSockets of programs that were refused or closed, by reason',
    labelNames: ['reason'],
    registers,
    collect() {
      const { refusedUpgrades, refusedPrograms, abusiveSockets } = counters();
      this.reset();
      this.inc({ reason: 'too_many' }, refusedUpgrades);
      this.inc({ reason: 'parameters' }, refusedPrograms);
      this.inc({ reason: 'abuse' }, abusiveSockets);
    },
  });
  new Counter({
    name: 'patchbay_program_bad_messages_total',
    help: 'Messages of programs that could not be acted on',
    registers,
    collect() {
      this.reset();
      this.inc(counters().badMessages);
    },
  });
  new Counter({
    name: 'patchbay_program_lost_audio_seconds_total',
    help: 'Audio that was dropped: of programs whose queue was full, and to programs that did not read',
    labelNames: ['direction'],
    registers,
    collect() {
      const { overflowMs, droppedMs } = counters();
      this.reset();
      this.inc({ direction: 'from_program' }, overflowMs / 1000);
      this.inc({ direction: 'to_program' }, droppedMs / 1000);
    },
  });
}

/** Adds the programs that the leader connects to to the metrics. */
export function measureTargets(metrics: Registry, targets: () => TargetCounts): void {
  new Gauge({
    name: 'patchbay_program_targets',
    help: 'Programs that the gateway connects to, by state',
    labelNames: ['state'],
    registers: [metrics],
    collect() {
      for (const [state, count] of Object.entries(targets())) this.set({ state }, count);
    },
  });
}
