import { performance } from 'node:perf_hooks';

/** How often the loop is asked to be on time. */
const TICK_MS = 20;
/** Over how long means are taken: long enough that one pause is not a load, short enough to end soon after it. */
const MEAN_MS = 500;
/** A single pause counts for no more than this: it says little about how much there is to do. */
const LATENESS_CAP_MS = 100;

/** What a meter needs from outside. */
interface MeterClock {
  /** Monotonic time in ms. */
  now(): number;
  /** Time in ms that the main thread has been at work since some moment, of all time since then. */
  busyMs(): number;
  /** Processor time in ms of all threads. */
  processorMs(): number;
  /** Time in ms that the phones' mixes have taken. */
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

/** How much the one thread has to do that serves everybody. */
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

  /** How late the event loop comes to what is due, in ms: the mean of about the last half second. */
  get delayMs(): number {
    return this.#delayMs;
  }

  /** The share of time that the main thread is at work; 1: it never waits. */
  get busy(): number {
    return this.#busy;
  }

  /** Processors that all threads of the process use together. */
  get processor(): number {
    return this.#processor;
  }

  /** The share of time that the phones' mixes take. */
  get mix(): number {
    return this.#mix;
  }

  /** Called every 20 ms; how late that is, is the measure. */
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
