import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { Admission, type AdmissionLimits } from './admission.js';

describe('admission', () => {
  const idle = { delayMs: 1, busy: 0.2, mix: 0.1, framesSkipped: 0 };
  let load = idle;
  let calls = 0;
  let hasSockets = true;
  let lines: string[] = [];
  let admission: Admission;

  const open = (limits: Partial<AdmissionLimits> = {}): Admission => {
    admission = new Admission({
      limits: { maxCalls: 0, maxCallsPerSecond: 0, ...limits },
      load: () => load,
      calls: () => calls,
      hasSockets: () => hasSockets,
      log: {
        debug: () => undefined,
        error: () => undefined,
        info: (_fields, text) => lines.push(text),
        warn: (_fields, text) => lines.push(text),
      },
    });
    return admission;
  };
  const cause = (source = '192.0.2.1'): string | undefined => admission.admit('phone', source)?.cause;

  beforeEach(() => {
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval', 'performance'] });
    load = idle;
    calls = 0;
    hasSockets = true;
    lines = [];
  });

  afterEach(() => {
    admission.stop();
    expect(vi.getTimerCount()).toBe(0);
    vi.useRealTimers();
  });

  it('admits everybody without limits and load', () => {
    open();
    calls = 100_000;
    expect(Array.from({ length: 1000 }, () => cause()).every((each) => each === undefined)).toBe(true);
    expect(admission.overloaded).toBe(false);
  });

  it('admits as many as there are places, and the next when one is free', () => {
    open({ maxCalls: 2 });
    calls = 2;
    expect(cause()).toBe('max_calls');
    expect(admission.admit('page', '192.0.2.9')?.cause).toBe('max_calls');
    calls = 1;
    expect(cause()).toBeUndefined();
    expect(admission.refusals('phone', 'max_calls')).toBe(1);
    expect(admission.refusals('page', 'max_calls')).toBe(1);
  });

  it('refuses phones while few file descriptors are left', () => {
    open();
    hasSockets = false;
    expect(cause()).toBe('descriptors');
    expect(admission.admit('page', '192.0.2.9'), 'pages have a bound of their own').toBeUndefined();
    hasSockets = true;
    expect(cause()).toBeUndefined();
  });

  it('admits the configured number each second', () => {
    open({ maxCallsPerSecond: 3 });
    const causes = Array.from({ length: 5 }, () => cause());
    expect(causes.filter((each) => each === undefined)).toHaveLength(3);
    expect(causes.at(-1)).toBe('max_calls_per_second');
    // Pages have the same limit of their own.
    expect(admission.admit('page', '192.0.2.1')).toBeUndefined();
    vi.advanceTimersByTime(1000);
    expect(cause()).toBeUndefined();
  });

  it('says when to try again, with a random part', () => {
    open({ maxCalls: 1 });
    calls = 1;
    const waits = Array.from({ length: 100 }, () => admission.admit('phone', 'a')!.retryAfterS);
    expect(new Set(waits).size).toBeGreaterThan(1);
    expect(Math.min(...waits)).toBeGreaterThanOrEqual(1);
    expect(Math.max(...waits)).toBeLessThanOrEqual(10);
  });

  it('refuses calls when mixing takes its share of the time', () => {
    open();
    load = { ...idle, mix: 0.5 };
    expect(cause()).toBe('load');
    load = idle;
    expect(cause()).toBeUndefined();
  });

  it('refuses calls when mixes and other work that cannot wait leave too little time', () => {
    open();
    load = { ...idle, mix: 0.2, busy: 0.85 };
    expect(cause()).toBe('load');
    // Without many mixes the thread is busy with work that can wait.
    load = { ...idle, mix: 0.1, busy: 0.98 };
    const atOnce = Array.from({ length: 200 }, () => cause());
    expect(atOnce.every((each) => each === undefined)).toBe(true);
    // It is busy with setting up 200 calls in half a second.
    load = { ...idle, mix: 0.2, busy: 0.98 };
    expect(cause()).toBeUndefined();
    vi.advanceTimersByTime(3000);
    expect(cause()).toBe('load');
  });

  it('refuses most calls when phones miss frames, until half a second later', () => {
    open();
    load = { ...idle, busy: 0.95, framesSkipped: 3 };
    const causes = Array.from({ length: 100 }, () => cause());
    expect(causes.filter((each) => each === undefined)).toHaveLength(10);
    expect(causes.at(-1)).toBe('load');
    vi.advanceTimersByTime(600);
    expect(Array.from({ length: 100 }, () => cause()).every((each) => each === undefined)).toBe(true);
  });

  it('admits few calls while timers are much too late, and those from all sources', () => {
    open();
    load = { ...idle, busy: 0.99, delayMs: 60 };
    const flood = Array.from({ length: 100 }, () => cause('flood'));
    expect(flood.filter((each) => each === undefined)).toHaveLength(10);
    vi.advanceTimersByTime(1000);
    for (let i = 0; i < 100; i += 1) {
      cause('flood');
      if (i % 20 === 0) cause('carrier');
    }
    vi.advanceTimersByTime(1000);
    const next = { flood: 0, carrier: 0 };
    for (let i = 0; i < 100; i += 1) {
      if (cause('flood') === undefined) next.flood += 1;
      if (i % 20 === 0 && cause('carrier') === undefined) next.carrier += 1;
    }
    expect(next).toEqual({ flood: 5, carrier: 5 });
    load = { ...idle, busy: 0.99, delayMs: 8 };
    expect(cause()).toBeUndefined();
  });

  it('admits calls after an idle process was held up for a moment', () => {
    open();
    load = { ...idle, busy: 0.3, delayMs: 60, framesSkipped: 2 };
    expect(cause()).toBeUndefined();
    expect(lines).toEqual([]);
  });

  it('logs once that overload begins and once that it ends, whatever is refused in between', () => {
    open({ maxCalls: 1 });
    calls = 1;
    for (let i = 0; i < 500; i += 1) {
      cause();
      vi.advanceTimersByTime(40);
    }
    expect(lines).toEqual(['overload: new calls are refused']);
    expect(admission.overloaded).toBe(true);
    vi.advanceTimersByTime(6000);
    expect(lines).toEqual(['overload: new calls are refused', 'overload is over']);
    expect(admission.overloaded).toBe(false);
  });

  it('does not call a burst a lasting overload', () => {
    open({ maxCalls: 1 });
    calls = 1;
    for (let i = 0; i < 10; i += 1) {
      for (let ms = 0; ms < 2000; ms += 10) {
        cause();
        vi.advanceTimersByTime(10);
        expect(admission.lasting).toBe(false);
      }
      vi.advanceTimersByTime(8000);
      expect(admission.overloaded).toBe(false);
    }
  });

  it('reports lasting overload, also over a short rest', () => {
    open({ maxCalls: 1 });
    calls = 1;
    const refuseFor = (seconds: number): void => {
      for (let ms = 0; ms < seconds * 1000; ms += 100) {
        cause();
        vi.advanceTimersByTime(100);
      }
    };
    refuseFor(11);
    expect(admission.lasting).toBe(true);
    vi.advanceTimersByTime(3000);
    expect(admission.lasting).toBe(true);
    refuseFor(1);
    expect(admission.lasting).toBe(true);
    vi.advanceTimersByTime(6000);
    expect(admission.lasting).toBe(false);
  });
});
