import { afterEach, describe, expect, it, vi } from 'vitest';
import { silentLog } from '../core/testing/index.js';
import type { Database } from './database.js';
import { WriteQueue } from './write-queue.js';

/** A database that writes down its transactions, and fails when told to. */
class FakeDatabase implements Database {
  readonly committed: { row: unknown }[][] = [];
  failures = 0;
  /** Called at each transaction, before it is done. */
  atCommit = (): void => undefined;

  exec(sql: string): Promise<void> {
    if (!sql.startsWith('BEGIN')) return Promise.resolve();
    this.atCommit();
    if (this.failures > 0) {
      this.failures -= 1;
      return Promise.reject(new Error('disk full'));
    }
    const rows = sql.matchAll(/\('(.*?)'\)/g);
    this.committed.push(Array.from(rows, ([, json]) => JSON.parse(json!) as { row: unknown }));
    return Promise.resolve();
  }

  prepare(): Promise<never> {
    return Promise.reject(new Error('nothing is read here'));
  }

  close(): void {}
}

function queueForTests() {
  const database = new FakeDatabase();
  const queue = new WriteQueue(database, silentLog);
  const put = (key: string, value: string = key) => queue.put(key, 'INSERT', { row: value });
  const committed = () => database.committed.map((rows) => rows.map(({ row }) => row));
  return { database, queue, put, committed };
}

afterEach(() => {
  vi.useRealTimers();
});

describe('writes', () => {
  it('of one turn are committed together, and many callers wait for one commit', async () => {
    const { queue, put, committed } = queueForTests();
    const callers = ['1', '2', '3'].map((key) => {
      put(key);
      return queue.flush();
    });
    await Promise.all(callers);
    expect(committed()).toEqual([['1', '2', '3']]);
  });

  it('that nobody waits for are gathered for a moment', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    const { database, put, committed } = queueForTests();
    const written = new Promise<void>((resolve) => {
      database.atCommit = resolve;
    });
    put('1');
    await vi.advanceTimersByTimeAsync(9);
    put('2');
    expect(committed()).toEqual([]);
    await vi.advanceTimersByTimeAsync(1);
    await written;
    await vi.waitFor(() => expect(committed()).toEqual([['1', '2']]));
  });

  it('put during a commit are gathered for the next when nobody waits for them', async () => {
    const { database, queue, put, committed } = queueForTests();
    const second = new Promise<void>((resolve) => {
      database.atCommit = () => {
        database.atCommit = resolve;
        put('2');
      };
    });
    put('1');
    await queue.flush();
    expect(committed()).toEqual([['1']]);
    await second;
    await vi.waitFor(() => expect(committed()).toEqual([['1'], ['2']]));
  });

  it('put during a commit go into the next, all or none', async () => {
    const { database, queue, put, committed } = queueForTests();
    let second: Promise<void> | undefined;
    database.atCommit = () => {
      if (second) return;
      put('2');
      put('3');
      second = queue.flush();
    };
    put('1');
    await queue.flush();
    await second;
    expect(committed()).toEqual([['1'], ['2', '3']]);
  });

  it('are waited for by a flush that comes while they are being committed', async () => {
    const { database, queue, put, committed } = queueForTests();
    let late: Promise<unknown> | undefined;
    database.atCommit = () => {
      late ??= queue.flush().then(() => committed().flat());
    };
    put('1');
    await queue.flush();
    expect(await late).toContain('1');
  });

  it('of the same thing are one, in the place of the last', async () => {
    const { queue, put, committed } = queueForTests();
    put('a', 'old');
    put('b');
    put('a', 'new');
    await queue.flush();
    expect(committed()).toEqual([['b', 'new']]);
  });
});

describe('when the disk fails', () => {
  it('whoever waits is told, and nothing is lost or overtaken', async () => {
    const { database, queue, put, committed } = queueForTests();
    database.failures = 1;
    put('a', 'old');
    put('b');
    await expect(queue.flush()).rejects.toThrow('disk full');
    put('a', 'new');
    await queue.flush();
    expect(committed()).toEqual([['b', 'new']]);
  });

  it('it is tried again, unasked', async () => {
    const { database, queue, put, committed } = queueForTests();
    vi.useFakeTimers({ toFake: ['setTimeout'] });
    database.failures = 1;
    put('a');
    await expect(queue.flush()).rejects.toThrow('disk full');
    const written = new Promise<void>((resolve) => {
      database.atCommit = resolve;
    });
    vi.advanceTimersByTime(1_000);
    await written;
    await queue.flush();
    expect(committed()[0]).toEqual(['a']);
  });

  it('stopping gives up what cannot be written', async () => {
    const { database, queue, put, committed } = queueForTests();
    database.failures = 100;
    put('a');
    await queue.stop();
    expect(committed()).toEqual([]);
  });
});
