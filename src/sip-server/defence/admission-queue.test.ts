import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { AdmissionQueue, type Arrival, type Refused } from './admission-queue.js';

describe('admission queue', () => {
  let queue: AdmissionQueue<Arrival>;
  let served: string[];
  let refused: { key: string; why: Refused }[];
  let admits: boolean;
  /** Time in which the process was held up: no timer and no socket came to its turn. */
  let late: number;

  beforeEach(() => {
    vi.useFakeTimers({
      toFake: ['setInterval', 'clearInterval', 'setImmediate', 'clearImmediate', 'performance'],
    });
    served = [];
    refused = [];
    admits = true;
    late = 0;
    queue = new AdmissionQueue({
      now: () => performance.now() + late,
      admit: () => admits,
      serve: ({ key }) => served.push(key),
      refuse: ({ key }, why) => refused.push({ key, why }),
    });
  });

  afterEach(() => {
    queue.close();
    expect(vi.getTimerCount()).toBe(0);
    vi.useRealTimers();
  });

  const arrive = (source: string, count: number, from = 0): void => {
    for (let i = from; i < from + count; i += 1) {
      queue.received();
      queue.enter({ key: `${source}${i}`, source });
    }
  };
  it('serves at once what comes alone', () => {
    arrive('a', 1);
    expect(served).toEqual(['a0']);
  });

  it('serves a few of many in a turn, and the rest in the turns after it', () => {
    arrive('a', 30);
    const atOnce = served.length;
    expect(atOnce).toBeLessThan(10);
    for (let i = 0; i < 30; i += 1) vi.advanceTimersToNextTimer();
    expect(served).toHaveLength(30);
    expect(refused).toEqual([]);
    expect(queue.size).toBe(0);
  });

  it('keeps the order of one source, and lets sources take turns', () => {
    arrive('flood', 60);
    arrive('other', 3);
    const before = served.length;
    for (let i = 0; i < 30; i += 1) vi.advanceTimersToNextTimer();
    const later = served.slice(before);
    expect(later.slice(0, 6).filter((key) => key.startsWith('other'))).toHaveLength(3);
    const flood = served.filter((key) => key.startsWith('flood')).map((key) => Number(key.slice(5)));
    expect(flood).toEqual([...flood].sort((a, b) => a - b));
  });

  it('serves all of a source that had few before more of one that had many', () => {
    arrive('flood', 60);
    for (let i = 0; i < 5; i += 1) vi.advanceTimersToNextTimer();
    const before = served.length;
    arrive('other', 5);
    for (let i = 0; i < 30; i += 1) vi.advanceTimersToNextTimer();
    expect(served.slice(before, before + 5)).toEqual(['other0', 'other1', 'other2', 'other3', 'other4']);
    // Of one second: nobody pays for long ago.
    late = 1_001;
    const then = served.length;
    arrive('flood', 9, 100);
    arrive('other', 60, 100);
    for (let i = 0; i < 30; i += 1) vi.advanceTimersToNextTimer();
    const next = served.slice(then, then + 10).map((key) => key.replace(/\d+/, ''));
    expect(next.filter((source) => source === 'flood').length).toBeGreaterThan(3);
  });

  it('holds no more than a hundred, and takes the place from the source that has most', () => {
    arrive('flood', 300);
    expect(queue.size).toBe(100);
    expect(refused.every(({ why }) => why === 'crowded')).toBe(true);
    const before = refused.length;
    arrive('other', 5);
    expect(queue.size).toBe(100);
    expect(refused.slice(before).every(({ key }) => key.startsWith('flood'))).toBe(true);
    expect(refused.slice(before)).toHaveLength(5);
  });

  it('refuses what has waited too long', () => {
    arrive('a', 50);
    const before = served.length;
    late = 300;
    vi.advanceTimersToNextTimer();
    expect(refused).toHaveLength(50 - before);
    expect(queue.size).toBe(0);
  });

  it('gives a repeat of what was refused the same answer, and drops one of what waits', () => {
    admits = false;
    arrive('a', 1);
    admits = true;
    arrive('a', 1);
    expect(refused.map(({ key }) => key)).toEqual(['a0', 'a0']);
    arrive('b', 30);
    const waiting = queue.size;
    queue.enter({ key: 'b29', source: 'b' });
    expect(queue.size).toBe(waiting);
  });

  it('does not serve what its caller cancelled', () => {
    arrive('a', 30);
    queue.withdraw('a29');
    queue.withdraw('never came');
    for (let i = 0; i < 30; i += 1) vi.advanceTimersToNextTimer();
    expect(refused).toEqual([{ key: 'a29', why: 'cancelled' }]);
    expect(served).not.toContain('a29');
  });

  it('refuses what may be old after the process was held up, and serves when the socket was empty', () => {
    vi.advanceTimersByTime(60_000);
    vi.advanceTimersByTime(1000);
    arrive('a', 1);
    expect(served).toEqual(['a0']);
    vi.advanceTimersByTime(1000);
    late = 6000;
    arrive('old', 1);
    expect(refused).toEqual([{ key: 'old0', why: 'stale' }]);
    // Fewer came than are read in one turn: nothing is left in the socket.
    vi.advanceTimersByTime(1);
    arrive('new', 1);
    expect(served).toEqual(['a0', 'new0']);
  });

  it('goes on refusing after a stall until the socket is read to its end', () => {
    late = 6000;
    // As many as one turn reads: there may be more behind them.
    for (let i = 0; i < 3; i += 1) {
      arrive('old', 32, i * 32);
      vi.advanceTimersByTime(1);
    }
    expect(refused).toHaveLength(96);
    arrive('last', 5);
    vi.advanceTimersByTime(1);
    expect(served).toEqual([]);
    arrive('new', 1);
    expect(served).toEqual(['new0']);
  });
});
