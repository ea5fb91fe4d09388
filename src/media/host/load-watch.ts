import { monitorEventLoopDelay, performance } from 'node:perf_hooks';
import type { MediaLoad } from '../door.js';
import type { HostLoad } from './messages.js';

const RESOLUTION_MS = 10;

/** Measures how well a host's process keeps up, from one reading to the next. */
export class LoadWatch {
  readonly #delays = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
  #utilization = performance.eventLoopUtilization();
  #mixBusyMs = 0;

  start(): void {
    this.#delays.enable();
  }

  stop(): void {
    this.#delays.disable();
  }

  /** @param load of the host's plane */
  read(load: MediaLoad): HostLoad {
    const { utilization: busy, active, idle } = performance.eventLoopUtilization(this.#utilization);
    this.#utilization = performance.eventLoopUtilization();
    const delayMs = Math.max(0, this.#delays.mean / 1e6 - RESOLUTION_MS) || 0;
    this.#delays.reset();
    const mixShare = (load.mixBusyMs - this.#mixBusyMs) / Math.max(1, active + idle);
    this.#mixBusyMs = load.mixBusyMs;
    return { ...load, busy, delayMs, mixShare };
  }
}
