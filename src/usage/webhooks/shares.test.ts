import { describe, expect, it } from 'vitest';
import { queueForTests } from '../testing/queue-for-tests.js';
import { DEFAULT_QUEUE_LIMITS } from './shares.js';
import { WebhookRefusedError, WebhookTimeoutError } from './webhook-sender.js';

const failure = new Error('no route');

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

  it('share the room: one that waits to be tried again may be dropped, and is not tried then', async () => {
    const { add, queue, underWay, clock, store } = queueForTests({ size: 2, firstRetryMs: 1_000 });
    for (const id of ['a0', 'a1']) add(id, id, 'app.example', 'a');
    await underWay[0]!.ends(failure);
    add('b0', 'b0', 'app.example', 'b');
    expect(store.webhooks().map(({ id }) => id)).toEqual(['a1', 'b0']);
    clock.advance(1_000);
    expect(underWay.map(({ id }) => id)).toEqual(['a1', 'b0']);
    expect(queue.counts()).toMatchObject({ waiting: 2, droppedOfAccount: 1 });
  });

  it('leave a server alone that timed out, though none of its events waits any more', async () => {
    const { add, ids, underWay, clock } = queueForTests({
      timeoutsBeforeRest: 1,
      firstRetryMs: 1_000,
      giveUpMs: 500,
    });
    add('1', 'ann');
    clock.advance(500);
    await underWay[0]!.ends(timeout);
    add('2', 'bob');
    expect(ids()).toEqual([]);
    add('3', 'cid', 'other.example');
    expect(ids()).toEqual(['3']);
  });

  it('share the room: what is under way makes none for others', () => {
    const { add, queue, ids } = queueForTests({ size: 2 });
    for (const id of ['a0', 'a1']) add(id, id, 'app.example', 'a');
    add('b0', 'b0', 'app.example', 'b');
    expect(queue.counts()).toMatchObject({ waiting: 2, droppedOfAccount: 1 });
    expect(ids()).toEqual(['a0', 'a1']);
  });

  it('share the room: what was delivered counts no more', async () => {
    const { add, queue, underWay, store } = queueForTests({ size: 4, concurrency: 1, concurrencyOwn: 1 });
    for (let n = 0; n < 4; n += 1) {
      add(`a${n}`, `ann${n}`, 'app.example', 'a');
      if (n < 3) await underWay[0]!.ends();
    }
    for (let n = 0; n < 4; n += 1) add(`b${n}`, `bob${n}`, 'app.example', 'b');
    expect(queue.counts()).toMatchObject({ waiting: 4, droppedOfAccount: 1 });
    expect(store.webhooks().map(({ id }) => id)).toEqual(['a3', 'b0', 'b1', 'b2']);
  });

  it('that are dropped are logged now and then', () => {
    const { add, queue, warnings } = queueForTests({ sizePerParticipant: 1 });
    for (let n = 0; n < 2_002; n += 1) add(`${n}`, 'ann');
    expect(queue.counts().dropped).toBe(2_001);
    expect(warnings).toHaveLength(3);
  });

  it('leave nothing behind of servers and accounts that they were delivered to', async () => {
    const { add, queue, underWay, clock } = queueForTests({ timeoutsBeforeRest: 2, giveUpMs: 500 });
    for (const account of ['a', 'b'])
      for (let n = 0; n < 3; n += 1) add(`${account}${n}`, `${account}${n}`, `${n % 2}.example`, account);
    expect(queue.counts().servers).toBe(4);
    await underWay.find(({ id }) => id === 'a0')!.ends();
    expect(queue.counts().servers).toBe(4); // Its other event is under way.
    await underWay.find(({ id }) => id === 'a2')!.ends();
    expect(queue.counts().servers).toBe(3);
    clock.advance(500);
    for (const attempt of [...underWay]) await attempt.ends(timeout);
    expect(queue.counts()).toMatchObject({ waiting: 0, servers: 1, rests: 1 });
    clock.advance(60_000);
    expect(queue.counts().servers).toBe(0);
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
