import { beforeEach, describe, expect, it } from 'vitest';
import { FakeClock } from '../shared/testing/index.js';
import { Lifetimes } from './lifetimes.js';

let clock: FakeClock;
let ended: { readonly id: string; readonly at: number }[];
let lifetimes: Lifetimes;

beforeEach(() => {
  clock = new FakeClock();
  ended = [];
  lifetimes = new Lifetimes(clock, (id) => ended.push({ id, at: clock.now() }));
});

describe('a lifetime', () => {
  it('ends once, never early and at most 100 ms late', () => {
    const times = [1, 99, 100, 101, 5_037, 5_038].map((ms) => clock.now() + ms);
    for (const time of times) lifetimes.start(String(time), time);
    clock.advance(60_000);
    expect(ended.map(({ id }) => Number(id))).toEqual(times);
    for (const { id, at } of ended) {
      expect(at).toBeGreaterThanOrEqual(Number(id));
      expect(at).toBeLessThan(Number(id) + 100);
    }
  });

  it('may be longer than a timer can be', () => {
    const inAYear = clock.now() + 365 * 86_400_000;
    lifetimes.start('patient', inAYear);
    clock.advance(364 * 86_400_000);
    expect(ended).toEqual([]);
    clock.advance(86_400_100);
    expect(ended.map(({ id }) => id)).toEqual(['patient']);
  });

  it.each([-36_000_000, 36_000_000])('stays as long when the clock is set by %d ms meanwhile', (set) => {
    lifetimes.start('before', clock.now() + 60_000);
    lifetimes.start('cancelled', clock.now() + 60_000);
    const cancelledAt = clock.now() + 60_000;
    clock.advance(30_000);
    clock.set(set);
    lifetimes.start('after', clock.now() + 60_000);
    lifetimes.cancel('cancelled', cancelledAt);
    clock.advance(29_900);
    expect(ended).toEqual([]);
    clock.advance(200);
    expect(ended.map(({ id }) => id)).toEqual(['before']);
    clock.advance(30_000);
    expect(ended.map(({ id }) => id)).toEqual(['before', 'after']);
    expect(clock.pending).toBe(0);
  });

  it('ends at once when it was over before it began', () => {
    lifetimes.start('late', clock.now() - 1_000);
    clock.advance(0);
    expect(ended.map(({ id }) => id)).toEqual(['late']);
  });

  it('does not end when it is cancelled, and leaves no timer', () => {
    const end = clock.now() + 1_000;
    for (const id of ['one', 'two']) lifetimes.start(id, end);
    lifetimes.cancel('one', end);
    lifetimes.cancel('one', end);
    expect(clock.pending).toBe(1);
    lifetimes.cancel('two', end);
    expect(clock.pending).toBe(0);
    clock.advance(2_000);
    expect(ended).toEqual([]);
  });

  it('may begin and be cancelled while another of the same time ends', () => {
    const end = clock.now() + 50;
    const others = new Lifetimes(clock, (id) => {
      ended.push({ id, at: clock.now() });
      others.cancel('neighbour', end);
      if (id === 'first') others.start('next', end);
    });
    others.start('first', end);
    others.start('neighbour', end);
    clock.advance(200);
    expect(ended.map(({ id }) => id)).toEqual(['first', 'next']);
  });
});
