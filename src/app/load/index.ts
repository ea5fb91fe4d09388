import type { Logger } from 'pino';
import { Counter, Gauge, type Registry } from 'prom-client';
import type { Config } from '../read-config.js';
import type { MediaPlane } from '../../media/index.js';
import type { Descriptors } from '../sockets.js';
import type { Teardown } from '../teardown.js';
import { Admission, CAUSES } from './admission.js';
import { LoadMeter, systemMeterClock } from './load-meter.js';

/** Refuses new calls when the gateway is overloaded. */
export interface LoadControl {
  readonly admission: Admission;
  /** How it is now. */
  now(): {
    readonly admission: 'open' | 'full' | 'overloaded';
    readonly busy: number;
    readonly delayMs: number;
    readonly processors: number;
  };
  /** Adds a count of phones or pages, including those that are connecting, to the number of calls. */
  countIn(calls: () => number): void;
}

/** Starts to measure the load, and adds load and refusals to the metrics. */
export function startLoadControl(
  config: Config,
  log: Logger,
  teardown: Teardown,
  parts: { readonly media: MediaPlane; readonly metrics: Registry; readonly descriptors: Descriptors },
): LoadControl {
  const { media, metrics, descriptors } = parts;
  const counts: (() => number)[] = [];
  const meter = new LoadMeter(systemMeterClock(() => media.load().mixBusyMs));
  const admission = new Admission({
    limits: config.admission,
    load: () => ({
      delayMs: Math.max(meter.delayMs, media.load().delayMs),
      busy: Math.max(meter.busy, media.load().busy),
      mix: meter.mix,
      framesSkipped: media.load().framesSkipped,
    }),
    calls: () => counts.reduce((sum, count) => sum + count(), 0),
    hasSockets: () => descriptors.forCalls,
    log: log.child({ part: 'load' }),
  });
  meter.start();
  teardown.add('load', () => {
    meter.stop();
    admission.stop();
  });
  measure(metrics, admission, meter);
  return {
    admission,
    now: () => ({
      admission: admission.overloaded ? 'overloaded' : admission.full ? 'full' : 'open',
      busy: meter.busy,
      delayMs: meter.delayMs,
      processors: meter.processor,
    }),
    countIn: (calls) => void counts.push(calls),
  };
}

function measure(metrics: Registry, admission: Admission, meter: LoadMeter): void {
  const registers = [metrics];
  const gauge = (name: string, help: string, value: () => number): void => {
    new Gauge({
      name,
      help,
      registers,
      collect() {
        this.set(value());
      },
    });
  };
  gauge('patchbay_load_busy', 'Share of time that the main thread is busy', () => meter.busy);
  gauge(
    'patchbay_load_delay_seconds',
    'How late the main thread runs timers, mean of the last half second',
    () => meter.delayMs / 1000,
  );
  gauge('patchbay_load_processors', 'Processors that all threads of the gateway use', () => meter.processor);
  gauge('patchbay_load_mix', 'Share of the main thread’s time that phones’ mixes take', () => meter.mix);
  gauge('patchbay_overloaded', 'Whether new calls or pages were refused in the last 5 s: 1 or 0', () =>
    admission.overloaded ? 1 : 0,
  );
  new Counter({
    name: 'patchbay_admission_refusals_total',
    help: 'New calls and pages that were refused, by cause',
    labelNames: ['kind', 'cause'],
    registers,
    collect() {
      this.reset();
      for (const cause of CAUSES) {
        this.inc({ kind: 'phone', cause }, admission.refusals('phone', cause));
        if (cause !== 'crowded' && cause !== 'descriptors')
          this.inc({ kind: 'page', cause }, admission.refusals('page', cause));
      }
    },
  });
}
