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

  it('lets everybody in without limits and load', () => {
    open();
    calls = 100_000;
    expect(Array.from({ length: 1000 }, () => cause()).every((each) => each === undefined)).toBe(true);
    expect(admission.overloaded).toBe(false);
  });

  it('lets in as many as there are places, and the next when one is free', () => {
    open({ maxCalls: 2 });
    calls = 2;
    expect(cause()).toBe('max_calls');
    expect(admission.admit('page', '192.0.2.9')?.cause).toBe('max_calls');
    calls = 1;
    expect(cause()).toBeUndefined();
    expect(admission.refusals('phone', 'max_calls')).toBe(1);
    expect(admission.refusals('page', 'max_calls')).toBe(1);
  });

  it('lets no phone in while the process may hardly open another socket', () => {
    open();
    hasSockets = false;
    expect(cause()).toBe('descriptors');
    expect(admission.admit('page', '192.0.2.9'), 'pages have a bound of their own').toBeUndefined();
    hasSockets = true;
    expect(cause()).toBeUndefined();
  });

  it('lets so many in each second', () => {
    open({ maxCallsPerSecond: 3 });
    const causes = Array.from({ length: 5 }, () => cause());
    expect(causes.filter((each) => each === undefined)).toHaveLength(3);
    expect(causes.at(-1)).toBe('max_calls_per_second');
    // Pages have as many of their own.
    expect(admission.admit('page', '192.0.2.1')).toBeUndefined();
    vi.advanceTimersByTime(1000);
    expect(cause()).toBeUndefined();
  });

  it('says when to come back, not always the same', () => {
    open({ maxCalls: 1 });
    calls = 1;
    const waits = Array.from({ length: 100 }, () => admission.admit('phone', 'a')!.retryAfterS);
    expect(new Set(waits).size).toBeGreaterThan(1);
    expect(Math.min(...waits)).toBeGreaterThanOrEqual(1);
    expect(Math.max(...waits)).toBeLessThanOrEqual(10);
  });

  it('takes no more when mixing takes its share of the time', () => {
    open();
    load = { ...idle, mix: 0.5 };
    expect(cause()).toBe('load');
    load = idle;
    expect(cause()).toBeUndefined();
  });

  it('takes no more when mixes and what else cannot wait leave too little, whatever calls come', () => {
    open();
    load = { ...idle, mix: 0.2, busy: 0.85 };
    expect(cause()).toBe('load');
    // Without many mixes a busy thread is busy with what can wait.
    load = { ...idle, mix: 0.1, busy: 0.98 };
    const atOnce = Array.from({ length: 200 }, () => cause());
    expect(atOnce.every((each) => each === undefined)).toBe(true);
    // Two hundred calls in half a second are what it is busy with.
    load = { ...idle, mix: 0.2, busy: 0.98 };
    expect(cause()).toBeUndefined();
    vi.advanceTimersByTime(3000);
    expect(cause()).toBe('load');
  });

  it('takes hardly any when phones miss frames, and again half a second later', () => {
    open();
    load = { ...idle, busy: 0.95, framesSkipped: 3 };
    const causes = Array.from({ length: 100 }, () => cause());
    expect(causes.filter((each) => each === undefined)).toHaveLength(10);
    expect(causes.at(-1)).toBe('load');
    vi.advanceTimersByTime(600);
    expect(Array.from({ length: 100 }, () => cause()).every((each) => each === undefined)).toBe(true);
  });

  it('takes hardly any while what is due comes much too late, and keeps a share of those for others', () => {
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

  it('does not mind that an idle process was held up for a moment', () => {
    open();
    load = { ...idle, busy: 0.3, delayMs: 60, framesSkipped: 2 };
    expect(cause()).toBeUndefined();
    expect(lines).toEqual([]);
  });

  it('says once that overload begins and once that it ends, whatever is refused in between', () => {
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

  it('calls no burst a lasting overload', () => {
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

  it('says so when overload lasts, and stays so over a short rest', () => {
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
