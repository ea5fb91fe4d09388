import { setImmediate } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { MemoryUsageStore } from '../testing/memory-usage-store.js';
import { FakeClock, silentLog } from '../../shared/testing/index.js';
import { DEFAULT_QUEUE_LIMITS, type QueueLimits } from './shares.js';
import { WebhookQueue } from './webhook-queue.js';
import { WebhookRefusedError, WebhookTimeoutError } from './webhook-sender.js';
import type { Webhook } from './webhook.js';

interface Attempt {
  readonly id: string;
  readonly ends: (error?: Error) => Promise<void>;
}

/** A queue whose attempts end when the test says so. */
function queueForTests(
  limits: Partial<QueueLimits> = {},
  store = new MemoryUsageStore(),
  random = () => 0.5,
) {
  const clock = new FakeClock();
  const underWay: Attempt[] = [];
  const queue = new WebhookQueue({
    store,
    clock,
    log: silentLog,
    random,
    limits: { ...DEFAULT_QUEUE_LIMITS, ...limits },
    send: ({ id }) =>
      new Promise((resolve, reject) => {
        const ends = async (error?: Error) => {
          underWay.splice(underWay.indexOf(attempt), 1);
          if (error) reject(error);
          else resolve();
          await setImmediate();
        };
        const attempt = { id, ends };
        underWay.push(attempt);
      }),
  });
  const add = (id: string, participantId: string, server = 'app.example', accountId = 'a') =>
    queue.add({
      id,
      accountId,
      url: `https://${server}/hook`,
      createdAt: clock.now(),
      body: { event: 'onConnect', timestamp: String(clock.now()), participantId, deviceId: 'd' },
    });
  return { queue, store, clock, underWay, add, ids: () => underWay.map(({ id }) => id) };
}

const failure = new Error('no route');

describe('webhooks of one participant', () => {
  it('go one after the other, in order', async () => {
    const { add, underWay, ids, store } = queueForTests();
    for (const id of ['1', '2', '3']) add(id, 'ann');
    expect(ids()).toEqual(['1']);
    await underWay[0]!.ends();
    expect(ids()).toEqual(['2']);
    await underWay[0]!.ends();
    await underWay[0]!.ends();
    expect(ids()).toEqual([]);
    expect(store.webhooks()).toEqual([]);
  });

  it.each([
    [0, 750],
    [1, 1_250],
  ])('wait a time that chance (%f) spreads', async (chance, wait) => {
    const { add, underWay, ids, clock } = queueForTests({ firstRetryMs: 1_000 }, undefined, () => chance);
    add('1', 'ann');
    await underWay[0]!.ends(failure);
    clock.advance(wait - 1);
    expect(ids()).toEqual([]);
    clock.advance(1);
    expect(ids()).toEqual(['1']);
  });

  it('wait for one that fails, longer each time, up to a bound', async () => {
    const { add, underWay, ids, clock } = queueForTests({ firstRetryMs: 1_000, longestRetryMs: 3_000 });
    add('1', 'ann');
    add('2', 'ann');
    for (const wait of [1_000, 2_000, 3_000, 3_000]) {
      await underWay[0]!.ends(failure);
      clock.advance(wait - 1);
      expect(ids()).toEqual([]);
      clock.advance(1);
      expect(ids()).toEqual(['1']);
    }
    await underWay[0]!.ends();
    expect(ids()).toEqual(['2']);
    await underWay[0]!.ends(failure);
    clock.advance(1_000);
    expect(ids()).toEqual(['2']);
  });

  it('are given up one by one when they are too old', async () => {
    const { add, underWay, ids, clock, queue, store } = queueForTests({ giveUpMs: 1_500 });
    add('1', 'ann');
    clock.advance(1_000);
    add('2', 'ann');
    await underWay[0]!.ends(failure);
    clock.advance(1_000);
    await underWay[0]!.ends(failure);
    expect(ids()).toEqual(['2']);
    expect(queue.counts()).toMatchObject({ givenUp: 1, waiting: 1, failedAttempts: 2 });
    expect(store.webhooks().map(({ id }) => id)).toEqual(['2']);
  });

  it('are tried again after any other refusal', async () => {
    const { add, underWay, ids, clock, queue } = queueForTests({ firstRetryMs: 1_000 });
    add('1', 'ann');
    await underWay[0]!.ends(new WebhookRefusedError(500));
    expect(queue.counts()).toMatchObject({ givenUp: 0, waiting: 1 });
    clock.advance(1_000);
    expect(ids()).toEqual(['1']);
  });

  it('are given up by their whole age, also from before a restart', async () => {
    const store = new MemoryUsageStore();
    const first = queueForTests({}, store);
    first.add('1', 'ann');
    const [stored] = store.webhooks();
    store.saveWebhook({ ...stored!, createdAt: stored!.createdAt - 1_000 });
    const { underWay, clock, queue } = queueForTests({ giveUpMs: 1_500 }, store);
    clock.advance(500);
    await underWay[0]!.ends(failure);
    expect(queue.counts()).toMatchObject({ givenUp: 1, waiting: 0 });
  });

  it('are given up at once after a 410', async () => {
    const { add, underWay, queue } = queueForTests();
    add('1', 'ann');
    await underWay[0]!.ends(new WebhookRefusedError(410));
    expect(queue.counts()).toMatchObject({ givenUp: 1, waiting: 0 });
  });
});

describe('webhooks of many participants', () => {
  it('do not wait for each other', async () => {
    const { add, underWay, ids } = queueForTests();
    add('1', 'ann');
    add('2', 'bob');
    expect(ids()).toEqual(['1', '2']);
    await underWay[0]!.ends(failure);
    add('3', 'bob');
    await underWay[0]!.ends();
    expect(ids()).toEqual(['3']);
  });

  it('share the attempts, and a slow server does not delay the others', async () => {
    const { add, ids, underWay } = queueForTests({ concurrency: 3, concurrencyPerServer: 2 });
    for (const who of ['a', 'b', 'c']) add(`slow-${who}`, who, 'slow.example');
    for (const who of ['d', 'e']) add(`fast-${who}`, who, 'fast.example');
    expect(ids()).toEqual(['slow-a', 'slow-b', 'fast-d']);
    await underWay[2]!.ends();
    expect(ids()).toEqual(['slow-a', 'slow-b', 'fast-e']);
    await underWay[0]!.ends();
    expect(ids()).toEqual(['slow-b', 'fast-e', 'slow-c']);
  });

  it('are dropped and counted when too many wait', async () => {
    const { add, underWay, queue, store } = queueForTests({ size: 2 });
    for (const id of ['1', '2', '3']) add(id, 'ann');
    expect(queue.counts()).toMatchObject({ waiting: 2, dropped: 1 });
    expect(store.webhooks()).toHaveLength(2);
    await underWay[0]!.ends();
    add('4', 'ann');
    expect(queue.counts()).toMatchObject({ waiting: 2, dropped: 1, delivered: 1 });
  });
});

it('a participant does not fill the queue alone', () => {
  const { add, queue } = queueForTests({ size: 4, sizePerParticipant: 2 });
  for (const id of ['1', '2', '3']) add(id, 'ann');
  add('4', 'bob');
  expect(queue.counts()).toMatchObject({ waiting: 3, dropped: 1 });
});

describe('stopping', () => {
  it('leaves what is not delivered to the next start, in order', async () => {
    const first = queueForTests();
    for (const id of ['1', '2', '3']) first.add(id, 'ann');
    await first.underWay[0]!.ends();
    const stopped = first.queue.stop();
    await first.underWay[0]!.ends(failure);
    await stopped;
    expect(first.ids()).toEqual([]);
    // The attempt that stopping aborted says nothing about the application.
    expect(first.queue.counts()).toMatchObject({ delivered: 1, failedAttempts: 0, givenUp: 0 });
    const kept: readonly Webhook[] = first.store.webhooks();
    expect(kept.map(({ id }) => id)).toEqual(['2', '3']);
    const second = queueForTests({}, first.store);
    expect(second.ids()).toEqual(['2']);
    await second.underWay[0]!.ends();
    expect(second.ids()).toEqual(['3']);
    expect(second.queue.counts()).toMatchObject({ waiting: 1, delivered: 1 });
  });

  it('starts no other attempt when one that is under way succeeds', async () => {
    const { add, underWay, ids, queue, store } = queueForTests();
    for (const id of ['1', '2']) add(id, 'ann');
    const stopped = queue.stop();
    await underWay[0]!.ends();
    await stopped;
    expect(ids()).toEqual([]);
    expect(store.webhooks().map(({ id }) => id)).toEqual(['2']);
  });
});

describe('webhooks of several accounts', () => {
  const timeout = new WebhookTimeoutError('late');

  it('share the room: only the account that has the most loses events', async () => {
    const { add, queue, underWay, store } = queueForTests({ size: 10, concurrencyPerAccount: 4 });
    for (let n = 0; n < 30; n += 1) add(`a${n}`, `ann${n}`, 'a.example', 'a');
    expect(queue.counts()).toMatchObject({ waiting: 10, dropped: 20, droppedOfAccount: 20 });
    for (let n = 0; n < 5; n += 1) add(`b${n}`, `bob${n}`, 'b.example', 'b');
    expect(queue.counts()).toMatchObject({ waiting: 10, dropped: 25, droppedOfAccount: 25 });
    const kept = store.webhooks().map(({ id }) => id);
    expect(kept.filter((id) => id.startsWith('b'))).toEqual(['b0', 'b1', 'b2', 'b3', 'b4']);
    // The one under way is not dropped.
    expect(kept).toEqual(expect.arrayContaining(underWay.map(({ id }) => id)));
    add('b5', 'bob5', 'b.example', 'b');
    expect(queue.counts()).toMatchObject({ waiting: 10, dropped: 26 });
    while (underWay.length > 0) await underWay[0]!.ends();
    expect(queue.counts()).toMatchObject({ waiting: 0, delivered: 10 });
  });

  it('share the room: of accounts with as many events, the one that adds another loses that one', () => {
    const { add, queue, store } = queueForTests({ size: 4, concurrency: 1, concurrencyOwn: 1 });
    for (const account of ['a', 'b'])
      for (let n = 0; n < 2; n += 1) add(`${account}${n}`, `${account}${n}`, 'app.example', account);
    for (const account of ['a', 'b']) add(`${account}2`, `${account}2`, 'app.example', account);
    expect(queue.counts()).toMatchObject({ waiting: 4, droppedOfAccount: 2 });
    expect(store.webhooks().map(({ id }) => id)).toEqual(['a0', 'a1', 'b0', 'b1']);
  });

  it('share the room: what is under way makes none for others', () => {
    const { add, queue, ids } = queueForTests({ size: 2 });
    for (const id of ['a0', 'a1']) add(id, id, 'app.example', 'a');
    add('b0', 'b0', 'app.example', 'b');
    expect(queue.counts()).toMatchObject({ waiting: 2, droppedOfAccount: 1 });
    expect(ids()).toEqual(['a0', 'a1']);
  });

  it('count large ones more than once', () => {
    const { add, queue } = queueForTests({ size: 10 });
    for (let n = 0; n < 10; n += 1) add(`${n}`, `${'x'.repeat(9_000)}${n}`);
    expect(queue.counts()).toMatchObject({ waiting: 3, dropped: 7 });
  });

  it('share the attempts: one whose servers hang delays nobody', async () => {
    const { add, ids, underWay } = queueForTests();
    for (let n = 0; n < 300; n += 1) add(`a${n}`, `ann${n}`, `s${n}.example`, 'a');
    expect(ids()).toHaveLength(DEFAULT_QUEUE_LIMITS.concurrencyPerAccount);
    for (const account of ['b', 'c', 'd', 'e', 'f']) {
      for (let n = 0; n < 100; n += 1) add(`${account}${n}`, `${account}${n}`, `${account}${n}`, account);
      const started = ids().filter((id) => id.startsWith(account)).length;
      expect(started).toBeGreaterThanOrEqual(DEFAULT_QUEUE_LIMITS.concurrencyOwn);
    }
    expect(ids().length).toBeLessThanOrEqual(
      DEFAULT_QUEUE_LIMITS.concurrency + 5 * DEFAULT_QUEUE_LIMITS.concurrencyOwn,
    );
    // A server that answers gets its next one at once, whatever the others do.
    for (let round = 0; round < 20; round += 1) {
      const mine = underWay.filter(({ id }) => id.startsWith('f'));
      expect(mine.length).toBeGreaterThan(0);
      for (const attempt of mine) await attempt.ends();
    }
  });

  it('are limited for each account and server: one account does not delay another at the same server', async () => {
    const { add, ids, underWay, queue } = queueForTests();
    for (let n = 0; n < 40; n += 1) add(`a${n}`, `ann${n}`, 'app.example', 'a');
    for (let round = 0; round < 3; round += 1) await underWay[0]!.ends(timeout);
    expect(queue.counts().rests).toBe(1);
    for (let n = 0; n < 20; n += 1) add(`b${n}`, `bob${n}`, 'app.example', 'b');
    const ofB = ids().filter((id) => id.startsWith('b'));
    expect(ofB).toHaveLength(DEFAULT_QUEUE_LIMITS.concurrencyPerServer);
  });

  it('leave a server that times out alone, longer each time, and then try one webhook', async () => {
    const { add, ids, underWay, clock, queue } = queueForTests({ concurrencyPerServer: 3 });
    for (let n = 0; n < 50; n += 1) add(`a${n}`, `ann${n}`);
    add('well', 'eve', 'well.example');
    expect(ids()).toEqual(['a0', 'a1', 'a2', 'well']);
    await underWay[3]!.ends();
    while (underWay.length > 0) await underWay[0]!.ends(timeout);
    for (const rest of [1_000, 2_000, 4_000]) {
      clock.advance(rest - 1);
      expect(ids()).toEqual([]);
      // The account's other servers are served as before.
      add('well', 'eve', 'well.example');
      expect(ids()).toEqual(['well']);
      await underWay[0]!.ends();
      clock.advance(1);
      expect(ids()).toHaveLength(1);
      await underWay[0]!.ends(timeout);
    }
    expect(queue.counts().rests).toBe(4);
    clock.advance(8_000);
    await underWay[0]!.ends(new WebhookRefusedError(500));
    expect(ids().length).toBe(3);
  });

  it('give up events that are too old, even without an attempt', async () => {
    const { add, underWay, clock, queue } = queueForTests({ giveUpMs: 10_000, concurrencyPerServer: 3 });
    for (let n = 0; n < 20; n += 1) add(`a${n}`, `ann${n}`);
    while (queue.counts().waiting > 0) {
      for (const attempt of [...underWay]) await attempt.ends(timeout);
      clock.advance(60_000);
    }
    expect(queue.counts().givenUp).toBe(20);
    expect(queue.counts().failedAttempts).toBeLessThan(10);
  });
});

describe('webhooks, when the clock is set', () => {
  it.each([-7_200_000, 7_200_000])('by %d ms, are given up after the same time', async (set) => {
    const { add, underWay, clock, queue } = queueForTests({ giveUpMs: 1_500 });
    add('1', 'ann');
    clock.set(set);
    await underWay[0]!.ends(failure);
    expect(queue.counts()).toMatchObject({ givenUp: 0, waiting: 1 });
    clock.advance(2_000);
    await underWay[0]!.ends(failure);
    expect(queue.counts()).toMatchObject({ givenUp: 1, waiting: 0 });
  });
});
