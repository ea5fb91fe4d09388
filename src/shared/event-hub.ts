import type { Log } from './log.js';

type Listener<Arguments extends unknown[]> = (...args: Arguments) => void;

/** A typed event emitter. If a listener throws, the error is logged and the others are still called. */
export class EventHub<Events extends { [E in keyof Events]: unknown[] }> {
  readonly #listeners: { [E in keyof Events]?: Set<Listener<Events[E]>> } = {};
  readonly #log: Log;

  constructor(log: Log) {
    this.#log = log;
  }

  on<E extends keyof Events>(event: E, listener: Listener<Events[E]>): void {
    (this.#listeners[event] ??= new Set()).add(listener);
  }

  off<E extends keyof Events>(event: E, listener: Listener<Events[E]>): void {
    this.#listeners[event]?.delete(listener);
  }

  emit<E extends keyof Events>(event: E, ...args: Events[E]): void {
    for (const listener of this.#listeners[event] ?? []) {
      try {
        listener(...args);
      } catch (error) {
        this.#log.error({ err: error, event }, 'a listener failed');
      }
    }
  }
}
