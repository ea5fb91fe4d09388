import { afterEach, describe, expect, it, vi } from 'vitest';
import { DeposedError } from './engine.js';
import { libsqlWriter } from './libsql/writer.js';
import { silentLog } from '../shared/testing/index.js';
import { WriteQueue } from './write-queue.js';

/** A database that records its transactions, and fails when told to. */
class FakeDatabase {
  readonly committed: { row: unknown }[][] = [];
  failures = 0;
  /** All but rollbacks. */
  readonly statements: string[] = [];
  /** Called before each transaction. */
  atCommit = (): void => undefined;

  exec(sql: string): Promise<void> {
    if (sql === 'ROLLBACK') return Promise.resolve();
    this.statements.push(sql);
    if (sql.startsWith('BEGIN')) this.atCommit();
    if (this.failures > 0) {
      this.failures -= 1;
      return Promise.reject(new Error('disk full'));
    }
    if (!sql.startsWith('BEGIN')) return Promise.resolve();
    const rows = sql.matchAll(/\('(.*?)'\)/g);
    this.committed.push(Array.from(rows, ([, json]) => JSON.parse(json!) as { row: unknown }));
    return Promise.resolve();
  }
}

function queueForTests() {
  const database = new FakeDatabase();
  const logged: string[] = [];
  const note = (_fields: object, message: string): void => void logged.push(message);
  const queue = new WriteQueue(libsqlWriter(database), { debug: note, info: note, warn: note, error: note });
  const put = (key: string, value: string = key) => queue.put(key, 'saveSession', { row: value });
  const committed = () => database.committed.map((rows) => rows.map(({ row }) => row));
  return { database, queue, put, committed, logged };
}

afterEach(() => {
  vi.useRealTimers();
});

describe('a queue whose writer was deposed', () => {
  it('writes nothing any more, says so once, and refuses changes', async () => {
    let deposed = 0;
    let commits = 0;
    const writer = {
      advice: '',
      probe: () => Promise.resolve(),
      commit: () => {
        commits += 1;
        return Promise.reject(new DeposedError('Another has taken over.'));
      },
    };
    const queue = new WriteQueue(writer, silentLog, () => (deposed += 1));
    queue.put('a', 'saveSession', {});
    await expect(queue.flush()).rejects.toMatchObject({ code: 'PATCHBAY_STORE_FAILED' });
    queue.put('b', 'saveSession', {});
    await expect(queue.flush()).rejects.toMatchObject({ code: 'PATCHBAY_STORE_UNAVAILABLE' });
    expect(() => queue.admitChange()).toThrow('cannot write');
    expect(queue.health).toEqual({ writable: false, waiting: 0 });
    await queue.stop();
    expect([deposed, commits]).toEqual([1, 1]);
  });
});

describe('writes', () => {
  it('of keys that are the same in the database are one', async () => {
    const { queue, put, committed } = queueForTests();
    put('call \ud800', 'old');
    put('call \0', 'older');
    put('call \ufffd', 'new');
    put('call \u{1f600}', 'other');
    await queue.flush();
    expect(committed()).toEqual([['new', 'other']]);
  });

  it('of one turn are committed together, and many callers wait for one commit', async () => {
    const { queue, put, committed } = queueForTests();
    const callers = ['1', '2', '3'].map((key) => {
      put(key);
      return queue.flush();
    });
    await Promise.all(callers);
    expect(committed()).toEqual([['1', '2', '3']]);
  });

  it('that nobody waits for are gathered for 10 ms', async () => {
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

  it('are committed by one transaction at a time, whoever asks for another meanwhile', async () => {
    const { database, queue, put, committed } = queueForTests();
    const exec = database.exec.bind(database);
    let underWay = 0;
    database.exec = async (sql) => {
      underWay += 1;
      expect(underWay).toBe(1);
      await new Promise(setImmediate);
      if (committed().length < 3) {
        put(`${committed().length + 2}`);
        void queue.flush();
      }
      await new Promise(setImmediate);
      await new Promise(setImmediate);
      await exec(sql);
      underWay -= 1;
    };
    put('1');
    await queue.flush();
    await queue.flush();
    await queue.flush();
    await queue.flush();
    expect(committed()).toEqual([['1'], ['2'], ['3'], ['4']]);
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

  it('need no commit when there are none', async () => {
    const { database, queue, put } = queueForTests();
    await queue.flush();
    put('1');
    await queue.flush();
    await queue.flush();
    expect(database.committed).toHaveLength(1);
  });

  it('with the same key become one, in the place of the last', async () => {
    const { queue, put, committed } = queueForTests();
    put('a', 'old');
    put('b');
    put('a', 'new');
    await queue.flush();
    expect(committed()).toEqual([['b', 'new']]);
  });
});

describe('when the disk fails', () => {
  const FAILED = { code: 'PATCHBAY_STORE_FAILED' };
  const UNAVAILABLE = { code: 'PATCHBAY_STORE_UNAVAILABLE' };

  const refusal = (admit: () => void): unknown => {
    try {
      admit();
      return undefined;
    } catch (error) {
      return error;
    }
  };

  /** A queue whose first commit, of a write `a`, has failed; each further attempt is made by the clock. */
  async function failingQueue(failures: number) {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    const made = queueForTests();
    made.database.failures = failures;
    made.put('a');
    await expect(made.queue.flush()).rejects.toMatchObject(FAILED);
    return made;
  }

  it('callers are told, also those of the next commit, and no write is lost or overtaken', async () => {
    const { database, queue, put, committed } = queueForTests();
    let second: Promise<unknown> | undefined;
    database.failures = 1;
    database.atCommit = () => {
      put('c');
      second ??= expect(queue.flush()).rejects.toMatchObject(FAILED);
      database.atCommit = () => undefined;
    };
    put('a', 'old');
    put('b');
    await expect(queue.flush()).rejects.toMatchObject(FAILED);
    await second;
    put('a', 'new');
    await vi.waitFor(() => expect(committed()).toEqual([['b', 'c', 'new']]), { timeout: 5_000 });
  });

  it('changes are refused, and nobody waits, until it takes writes again', async () => {
    const { queue, put, committed } = await failingQueue(2);
    expect(refusal(() => queue.admitChange())).toMatchObject(UNAVAILABLE);
    expect(() => queue.admitConnection()).not.toThrow();
    put('b');
    await expect(queue.flush()).rejects.toMatchObject(UNAVAILABLE);
    expect(queue.health).toEqual({ writable: false, waiting: 2 });
    await vi.advanceTimersByTimeAsync(1_000);
    expect(refusal(() => queue.admitChange())).toMatchObject(UNAVAILABLE);
    await vi.advanceTimersByTimeAsync(1_000);
    await vi.waitFor(() => expect(queue.health).toEqual({ writable: true, waiting: 0 }));
    expect(() => queue.admitChange()).not.toThrow();
    expect(committed()).toEqual([['a', 'b']]);
  });

  it('it is probed each second with a small statement, not with all writes that wait', async () => {
    const { database } = await failingQueue(10);
    await vi.advanceTimersByTimeAsync(9_000);
    expect(database.statements).toHaveLength(10);
    expect(database.statements.filter((sql) => sql.startsWith('BEGIN'))).toHaveLength(1);
  });

  it('the log has one line when it begins and one when it is over', async () => {
    const { queue, logged } = await failingQueue(5);
    await vi.advanceTimersByTimeAsync(5_000);
    await vi.waitFor(() => expect(queue.health.writable).toBe(true));
    expect(logged).toEqual([
      expect.stringContaining('the store cannot write'),
      expect.stringContaining('can write again'),
    ]);
  });

  it('devices are refused once too much waits, by number or size', async () => {
    const { queue, put } = await failingQueue(1_000);
    for (let i = 0; i < 19_998; i += 1) put(`usage ${i}`);
    expect(() => queue.admitConnection()).not.toThrow();
    put('one more');
    expect(refusal(() => queue.admitConnection())).toMatchObject(UNAVAILABLE);
    const large = await failingQueue(1_000);
    const row = 'x'.repeat(4 * 1024 * 1024);
    for (let i = 0; i < 100; i += 1) large.put('the same thing', row);
    expect(() => large.queue.admitConnection()).not.toThrow();
    for (let i = 0; i < 8; i += 1) large.put(`thing ${i}`, row);
    expect(refusal(() => large.queue.admitConnection())).toMatchObject(UNAVAILABLE);
  });

  it('stopping tries once more', async () => {
    const { queue, committed, logged } = await failingQueue(1);
    await queue.stop();
    expect(committed()).toEqual([['a']]);
    expect(logged.join()).not.toContain('lost');
  });

  it('stopping gives up what cannot be written, and logs that', async () => {
    const { database, queue, committed, logged } = await failingQueue(100);
    await queue.stop();
    expect(committed()).toEqual([]);
    expect(logged.at(-1)).toContain('lost');
    // The database is closed next: nothing may be tried any more.
    const tried = database.statements.length;
    await vi.advanceTimersByTimeAsync(10_000);
    expect(database.statements).toHaveLength(tried);
  });
});
