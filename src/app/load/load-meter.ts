import { performance } from 'node:perf_hooks';

/** How often the lateness of the event loop is measured. */
const TICK_MS = 20;
/** How often while next to nothing happens: each wake-up of an idle gateway costs processor time. */
const CALM_TICK_MS = 100;
/** Below both, next to nothing happens. */
const CALM_BUSY = 0.1;
const CALM_DELAY_MS = 3;
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

/** Of what was measured in so much time, in a mean. */
const weightOf = (ms: number): number => 1 - Math.exp(-ms / MEAN_MS);

/** Measures the load of the main thread, which serves all calls. */
export class LoadMeter {
  readonly #clock: MeterClock;
  #timer: NodeJS.Timeout | undefined;
  #waitMs = TICK_MS;
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
    const next = (): void => {
      this.#timer = setTimeout(() => {
        this.tick();
        next();
      }, this.#waitMs).unref();
    };
    if (!this.#timer) next();
  }

  stop(): void {
    clearTimeout(this.#timer);
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

  /** In how many ms {@link tick} is to be called. */
  get waitMs(): number {
    return this.#waitMs;
  }

  /** Measures how late it is called. */
  tick(): void {
    const now = this.#clock.now();
    const elapsed = now - this.#tickedAt;
    if (elapsed <= 0) return;
    const weight = weightOf(elapsed);
    const late = Math.min(LATENESS_CAP_MS, Math.max(0, elapsed - this.#waitMs));
    const busyMs = this.#clock.busyMs();
    const processorMs = this.#clock.processorMs();
    const mixMs = this.#clock.mixMs();
    // A pause weighs no more after a long wait than after a short one.
    const delayed = late > this.#delayMs ? elapsed - this.#waitMs + TICK_MS : elapsed;
    this.#delayMs += weightOf(delayed) * (late - this.#delayMs);
    this.#busy += weight * (Math.min(1, (busyMs - this.#busyMs) / elapsed) - this.#busy);
    this.#processor += weight * ((processorMs - this.#processorMs) / elapsed - this.#processor);
    this.#mix += weight * ((mixMs - this.#mixMs) / elapsed - this.#mix);
    this.#tickedAt = now;
    this.#busyMs = busyMs;
    this.#mixMs = mixMs;
    this.#processorMs = processorMs;
    const isCalm = this.#busy < CALM_BUSY && this.#delayMs < CALM_DELAY_MS;
    this.#waitMs = isCalm ? CALM_TICK_MS : TICK_MS;
  }
}
