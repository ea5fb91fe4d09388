import { performance } from 'node:perf_hooks';

/** How often the lateness of the event loop is measured. */
const TICK_MS = 20;
/** Time constant of the means: long enough that one pause does not count as load, short enough to forget load soon. */
const MEAN_MS = 500;
/** A single pause counts for no more than this, since it says little about the load. */
const LATENESS_CAP_MS = 100;

interface MeterClock {
  /** Monotonic time in ms. */
  now(): number;
  /** Time in ms that the main thread was busy, since an arbitrary start. */
  busyMs(): number;
  /** Processor time of all threads, in ms. */
  processorMs(): number;
  /** Time that phones' mixes have taken, in ms. */
  mixMs(): number;
}

/** This process's clock. */
export const systemMeterClock = (mixMs: () => number): MeterClock => ({
  now: () => performance.now(),
  mixMs,
  busyMs: () => performance.eventLoopUtilization().active,
  processorMs: () => {
    const { user, system } = process.cpuUsage();
    return (user + system) / 1000;
  },
});

/** Measures the load of the main thread, which serves all calls. */
export class LoadMeter {
  readonly #clock: MeterClock;
  #timer: NodeJS.Timeout | undefined;
  #tickedAt: number;
  #busyMs: number;
  #processorMs: number;
  #mixMs: number;
  #delayMs = 0;
  #busy = 0;
  #processor = 0;
  #mix = 0;

  constructor(clock: MeterClock) {
    this.#clock = clock;
    this.#tickedAt = clock.now();
    this.#busyMs = clock.busyMs();
    this.#processorMs = clock.processorMs();
    this.#mixMs = clock.mixMs();
  }

  start(): void {
    this.#timer ??= setInterval(() => this.tick(), TICK_MS).unref();
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  /** How late the event loop runs timers, in ms: the mean of about the last half second. */
  get delayMs(): number {
    return this.#delayMs;
  }

  /** Share of time that the main thread is busy; 1: it never waits. */
  get busy(): number {
    return this.#busy;
  }

  /** Number of processors that all threads of the process use. */
  get processor(): number {
    return this.#processor;
  }

  /** Share of time that phones' mixes take. */
  get mix(): number {
    return this.#mix;
  }

  /** Called every 20 ms. Measures how late it is called. */
  tick(): void {
    const now = this.#clock.now();
    const elapsed = now - this.#tickedAt;
    if (elapsed <= 0) return;
    const weight = 1 - Math.exp(-elapsed / MEAN_MS);
    const late = Math.min(LATENESS_CAP_MS, Math.max(0, elapsed - TICK_MS));
    const busyMs = this.#clock.busyMs();
    const processorMs = this.#clock.processorMs();
    const mixMs = this.#clock.mixMs();
    this.#delayMs += weight * (late - this.#delayMs);
    this.#busy += weight * (Math.min(1, (busyMs - this.#busyMs) / elapsed) - this.#busy);
    this.#processor += weight * ((processorMs - this.#processorMs) / elapsed - this.#processor);
    this.#mix += weight * ((mixMs - this.#mixMs) / elapsed - this.#mix);
    this.#tickedAt = now;
    this.#busyMs = busyMs;
    this.#mixMs = mixMs;
    this.#processorMs = processorMs;
  }
}
