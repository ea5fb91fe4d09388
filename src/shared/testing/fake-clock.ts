import type { Clock, Timer } from '../clock.js';

interface Alarm {
  readonly at: number;
  readonly callback: () => void;
}

/** A clock that moves only when told to. */
export class FakeClock implements Clock {
  #now: number;
  /** How far the machine's clock has been set. */
  #set = 0;
  readonly #alarms = new Set<Alarm>();

  constructor(now = 1_700_000_000_000) {
    this.#now = now;
  }

  now(): number {
    return this.#now + this.#set;
  }

  monotonic(): number {
    return this.#now;
  }

  /** Sets the machine's clock forward or, with a negative number, back. Timers are not affected. */
  set(ms: number): void {
    this.#set += ms;
  }

  setTimeout(callback: () => void, ms: number): Timer {
    const alarm = { at: this.#now + ms, callback };
    this.#alarms.add(alarm);
    return { cancel: () => this.#alarms.delete(alarm) };
  }

  /** How many timers are waiting. */
  get pending(): number {
    return this.#alarms.size;
  }

  /** Moves time forward, and runs the timers that are due, in order. */
  advance(ms: number): void {
    const end = this.#now + ms;
    for (let alarm = this.#next(end); alarm; alarm = this.#next(end)) {
      this.#alarms.delete(alarm);
      this.#now = alarm.at;
      alarm.callback();
    }
    this.#now = end;
  }

  #next(end: number): Alarm | undefined {
    const due = [...this.#alarms].filter((alarm) => alarm.at <= end);
    return due.sort((a, b) => a.at - b.at)[0];
  }
}
