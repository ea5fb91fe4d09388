import { describe, expect, it } from 'vitest';
import { MemoryUsageStore } from '../testing/memory-usage-store.js';
import { queueForTests } from '../testing/queue-for-tests.js';
import { WebhookRefusedError } from './webhook-sender.js';
import type { Webhook } from './webhook.js';

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
    expect(queue.counts()).toMatchObject({ givenUp: 0, waiting: 1, failing: 1 });
    expect(queue.countsOf('a')).toEqual({ waiting: 1, failing: 1 });
    expect(queue.countsOf('nobody')).toEqual({ waiting: 0, failing: 0 });
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
