import { afterEach, describe, expect, it, vi } from 'vitest';
import { silentLog } from '../core/testing/index.js';
import type { Database, SqlValue } from './database.js';
import { WriteQueue } from './write-queue.js';

/** A database that writes down its transactions, and fails when told to. */
class FakeDatabase implements Database {
  readonly committed: SqlValue[][] = [];
  failures = 0;
  /** Called at each commit, before it is done. */
  atCommit = (): void => undefined;
  #open: SqlValue[] | undefined;

  exec(sql: string): Promise<void> {
    switch (sql) {
      case 'BEGIN':
        if (this.#open) throw new Error('a transaction is open already');
        this.#open = [];
        break;
      case 'COMMIT':
        this.atCommit();
        if (this.failures > 0) {
          this.failures -= 1;
          return Promise.reject(new Error('disk full'));
        }
        this.committed.push(this.#open ?? []);
        this.#open = undefined;
        break;
      default:
        this.#open = undefined;
    }
    return Promise.resolve();
  }

  prepare() {
    return Promise.resolve({
      run: (parameters: readonly SqlValue[]) => this.#open?.push(...parameters),
      all: () => Promise.resolve([]),
    });
  }

  close(): void {
    this.#open = undefined;
  }
}

function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

function queueForTests() {
  const database = new FakeDatabase();
  const queue = new WriteQueue(database, silentLog);
  const put = (key: string, value: string = key) => queue.put(key, 'INSERT', [value]);
  return { database, queue, put };
}

afterEach(() => {
  vi.useRealTimers();
});

describe('writes', () => {
  it('of one turn are committed together, and many callers wait for one commit', async () => {
    const { database, queue, put } = queueForTests();
    const callers = ['1', '2', '3'].map((key) => {
      put(key);
      return queue.flush();
    });
    await Promise.all(callers);
    expect(database.committed).toEqual([['1', '2', '3']]);
  });

  it('put during a commit go into the next, all or none', async () => {
    const { database, queue, put } = queueForTests();
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
    expect(database.committed).toEqual([['1'], ['2', '3']]);
  });

  it('are waited for by a flush that comes while they are being committed', async () => {
    const { database, queue, put } = queueForTests();
    let late: Promise<unknown> | undefined;
    database.atCommit = () => {
      late ??= queue.flush().then(() => database.committed.flat());
    };
    put('1');
    await queue.flush();
    expect(await late).toContain('1');
  });

  it('of the same thing are one, in the place of the last', async () => {
    const { database, queue, put } = queueForTests();
    put('a', 'old');
    put('b');
    put('a', 'new');
    await queue.flush();
    expect(database.committed).toEqual([['b', 'new']]);
  });

  it('without number do not hold up the other work', async () => {
    const { queue, put } = queueForTests();
    for (let i = 0; i < 1_000; i += 1) put(String(i));
    const flushed = queue.flush().then(() => 'flushed');
    let turns = 0;
    while ((await Promise.race([flushed, nextTurn()])) !== 'flushed') turns += 1;
    expect(turns).toBeGreaterThanOrEqual(4);
  });
});

describe('when the disk fails', () => {
  it('whoever waits is told, and nothing is lost or overtaken', async () => {
    const { database, queue, put } = queueForTests();
    database.failures = 1;
    put('a', 'old');
    put('b');
    await expect(queue.flush()).rejects.toThrow('disk full');
    put('a', 'new');
    await queue.flush();
    expect(database.committed).toEqual([['b', 'new']]);
  });

  it('it is tried again, unasked', async () => {
    const { database, queue, put } = queueForTests();
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
    expect(database.committed[0]).toEqual(['a']);
  });

  it('stopping gives up what cannot be written', async () => {
    const { database, queue, put } = queueForTests();
    database.failures = 100;
    put('a');
    await queue.stop();
    expect(database.committed).toEqual([]);
  });
});
