import { describe, expect, it } from 'vitest';
import { LoadMeter } from './load-meter.js';

/** A fake process: the test says what happens from tick to tick. */
class FakeProcess {
  at = 0;
  busy = 0;
  processor = 0;
  mix = 0;
  readonly meter = new LoadMeter({
    now: () => this.at,
    busyMs: () => this.busy,
    processorMs: () => this.processor,
    mixMs: () => this.mix,
  });

  /** Ticks for a time, each late by so much. */
  run(ms: number, { late = 0, busy = 0, mix = 0 }: { late?: number; busy?: number; mix?: number }): void {
    for (const end = this.at + ms; this.at < end;) {
      const elapsed = this.meter.waitMs + late;
      this.at += elapsed;
      this.busy += elapsed * busy;
      this.processor += elapsed * busy;
      this.mix += elapsed * mix;
      this.meter.tick();
    }
  }
}

describe('load meter', () => {
  it('measures shares of time, and how late the loop is', () => {
    const process = new FakeProcess();
    process.run(5000, { late: 30, busy: 0.8, mix: 0.3 });
    expect(process.meter.delayMs).toBeCloseTo(30, 0);
    expect(process.meter.busy).toBeCloseTo(0.8, 2);
    expect(process.meter.processor).toBeCloseTo(0.8, 2);
    expect(process.meter.mix).toBeCloseTo(0.3, 2);
  });

  it('forgets within two seconds', () => {
    const process = new FakeProcess();
    process.run(5000, { late: 90, busy: 1, mix: 0.6 });
    process.run(2000, {});
    expect(process.meter.delayMs).toBeLessThan(2);
    expect(process.meter.busy).toBeLessThan(0.05);
    expect(process.meter.mix).toBeLessThan(0.05);
  });

  it('does not count one long pause as load', () => {
    const process = new FakeProcess();
    process.run(5000, {});
    process.run(1, { late: 10_000 });
    process.run(1000, {});
    expect(process.meter.delayMs).toBeLessThan(20);
  });

  it('wakes an idle process seldom, and measures often from the first load on', () => {
    const process = new FakeProcess();
    process.run(1000, {});
    expect(process.meter.waitMs).toBe(100);
    process.run(100, { busy: 1 });
    expect(process.meter.waitMs).toBe(20);
    process.run(3000, { busy: 0.05 });
    expect(process.meter.waitMs).toBe(100);
    process.run(100, { late: 40 });
    expect(process.meter.waitMs).toBe(20);
  });

  it('weighs a pause after calm no more than one under load', () => {
    const [calm, loaded] = [new FakeProcess(), new FakeProcess()];
    calm.run(2000, {});
    loaded.run(2000, { busy: 0.5 });
    for (const process of [calm, loaded]) process.run(1, { late: 90 });
    expect(calm.meter.delayMs).toBeCloseTo(loaded.meter.delayMs, 5);
  });

  it('works with a clock that does not move', () => {
    const process = new FakeProcess();
    process.meter.tick();
    expect(process.meter.busy).toBe(0);
  });
});
