import { setImmediate } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { FakeClock, silentLog } from '../../core/testing/index.js';
import { MemoryUsageStore } from '../testing/memory-usage-store.js';
import { DEFAULT_QUEUE_LIMITS, type QueueLimits, WebhookQueue } from './webhook-queue.js';
import { WebhookRefusedError } from './webhook-sender.js';
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
  const add = (id: string, participantId: string, server = 'app.example') =>
    queue.add({
      id,
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

  it('are given up at once when the application wants no more', async () => {
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

  it('share the attempts, and a slow server keeps none from the others', async () => {
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
    const kept: readonly Webhook[] = first.store.webhooks();
    expect(kept.map(({ id }) => id)).toEqual(['2', '3']);
    const second = queueForTests({}, first.store);
    expect(second.ids()).toEqual(['2']);
    await second.underWay[0]!.ends();
    expect(second.ids()).toEqual(['3']);
    expect(second.queue.counts()).toMatchObject({ waiting: 1, delivered: 1 });
  });
});
