import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { ConnectionTable, type ConnectionSlot } from './connection-table.js';

const closed: string[] = [];
let table: ConnectionTable;

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['performance'] });
  closed.length = 0;
  table = new ConnectionTable({ maxConnections: 8, maxPerAddress: 4 }, () => undefined);
});
afterEach(() => vi.useRealTimers());

function take(host: string, name = host): ConnectionSlot | undefined {
  vi.advanceTimersByTime(1);
  return table.take(host, false, () => closed.push(name));
}

function proven(host: string, name = host): ConnectionSlot {
  const slot = take(host, name);
  if (!slot) throw new Error('no slot');
  table.heard(slot);
  return slot;
}

describe('a table of connections', () => {
  it('has the oldest silent one give way when it is full', () => {
    for (const [index, host] of ['a', 'a', 'a', 'a', 'b', 'b', 'b', 'b'].entries())
      take(host, `${host}${index}`);
    expect(take('c')).toBeDefined();
    expect(take('d')).toBeDefined();
    expect(closed).toEqual(['a0', 'a1']);
    expect(table.size).toBe(8);
  });

  it('spares those that said something for those that did not', () => {
    for (const host of ['a', 'b', 'c', 'd', 'e', 'f', 'g']) proven(host);
    take('h');
    expect(take('i')).toBeDefined();
    expect(closed).toEqual(['h']);
  });

  it('has the one give way that is silent for longest, if it is idle', () => {
    const slots = ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h'].map((host) => proven(host));
    expect(take('i')).toBeUndefined();
    vi.advanceTimersByTime(10_000);
    table.heard(slots[0]!);
    expect(take('i')).toBeDefined();
    expect(closed).toEqual(['b']);
  });

  it('has a busy one give way of an address that has most of its share', () => {
    for (let i = 0; i < 8; i++) proven(i < 4 ? 'a' : 'b', `${i}`);
    expect(take('c')).toBeDefined();
    expect(closed).toEqual(['0']);
  });

  it('holds an address to its share, at the cost of its own', () => {
    proven('b');
    const first = proven('a', 'a0');
    for (let i = 1; i < 4; i++) proven('a', `a${i}`);
    expect(take('a')).toBeUndefined();
    vi.advanceTimersByTime(10_000);
    table.heard(first);
    expect(take('a', 'a4')).toBeDefined();
    expect(closed).toEqual(['a1']);
    expect(take('a', 'a5')).toBeDefined();
    expect(closed).toEqual(['a1', 'a4']);
  });

  it('forgets who left, once', () => {
    const slot = proven('a');
    table.leave(slot);
    table.leave(slot);
    table.heard(slot);
    expect(table.size).toBe(0);
  });
});
