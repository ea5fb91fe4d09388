import { describe, expect, it } from 'vitest';
import { ACCOUNT, FakeDevice, newParticipant } from '../../core/testing/index.js';
import { AUDIO, Cluster, connect, device } from '../testing/cluster-stage.js';

const SETTLE_MS = 3_000;
const GIVEN_UP_MS = 13_000;

/** Ann and cid at one edge, bob at another, whose leader has died: the next one has waited for bob's edge long enough. */
async function scene() {
  const cluster = new Cluster();
  const first = cluster.leader();
  const [near, far] = [cluster.edge('near'), cluster.edge('far')];
  await connect(near, first);
  await connect(far, first);
  const session = first.core.createSession(ACCOUNT, {}).id;
  const member = (): string => {
    const id = newParticipant(first.core);
    first.core.addToSession(ACCOUNT, session, id, { sessionId: session });
    return id;
  };
  const [ann, bob, cid] = [member(), member(), member()];
  const listener = await device(near, first, ann, 'listener');
  const talker = await device(far, first, bob, 'talker');
  const other = await device(near, first, cid, 'other');
  talker.connection.publish(named('talk'));
  other.connection.publish(named('other'));
  await first.commit();
  expect(listener.fake.receiving).toEqual(['talk', 'other']);
  first.desk.stop();
  await first.commit();
  const next = cluster.leader();
  await connect(near, next);
  cluster.clock.advance(SETTLE_MS);
  await next.commit();
  expect(near.isSettled).toBe(true);
  return { cluster, next, near, far, session, ann, bob, cid, listener, talker, other };
}

function named(streamId: string) {
  return AUDIO.map((stream) => ({ ...stream, streamId }));
}

/** Puts back what the edge of before had, in another process. */
async function restart({ cluster, next, bob }: Awaited<ReturnType<typeof scene>>) {
  const far = cluster.edge('far', { process: 'p2', isRestoring: true });
  await connect(far, next);
  const carried = new FakeDevice('talker', 'phone', { hold: true });
  const options = { replace: false, carriedSince: cluster.clock.now() - 60_000 };
  const connection = far.connect(next.core.participant(ACCOUNT, bob), carried, options);
  await next.commit();
  return { far, carried, connection };
}

describe('while a new leader waits for an edge longer than the others', () => {
  it('others keep the streams of its devices, and all else changes', async () => {
    const { next, near, far, session, cid, listener, other } = await scene();
    // Streams are ordered by when this leader has learnt of them: that of one that is missing comes last.
    expect(listener.fake.receiving).toEqual(['other', 'talk']);
    other.connection.publish(named('more'));
    await next.commit();
    expect(listener.fake.receiving).toEqual(['more', 'talk']);
    next.core.removeFromSession(ACCOUNT, session, cid);
    expect([listener.fake.receiving, other.fake.receiving]).toEqual([['talk'], []]);
    await connect(far, next);
    expect(listener.fake.receiving).toEqual(['talk']);
    expect([near.isSettled, far.isSettled]).toEqual([true, true]);
  });

  it('a device that is unsubscribed from one that is missing receives nothing of it any more', async () => {
    const { next, session, ann, cid, listener, other } = await scene();
    const participants = [{ participantId: cid }];
    next.core.setSubscriptions(ACCOUNT, session, ann, { participants });
    expect([listener.fake.receiving, other.fake.receiving]).toEqual([['other'], ['talk']]);
  });

  it('one that is deleted, or leaves the session, is heard no more', async () => {
    const one = await scene();
    one.next.core.deleteParticipant(ACCOUNT, one.bob);
    expect([one.listener.fake.receiving, one.other.fake.receiving]).toEqual([['other'], []]);
    const another = await scene();
    another.next.core.removeFromSession(ACCOUNT, another.session, another.bob);
    expect([another.listener.fake.receiving, another.other.fake.receiving]).toEqual([['other'], []]);
  });

  it('a participant that connects another device is not missing any more', async () => {
    const { next, near, bob, listener } = await scene();
    const { connection } = await device(near, next, bob, 'instead');
    expect(listener.fake.receiving).toEqual(['other']);
    connection.publish(named('instead'));
    await next.commit();
    expect(listener.fake.receiving).toEqual(['other', 'instead']);
  });

  it('devices of a process that connects them by and by are told what they receive once it has all', async () => {
    const stage = await scene();
    const { next, ann, session, listener, other } = stage;
    const { far, carried, connection } = await restart(stage);
    const seen = listener.fake.deliveries.length;
    other.connection.publish(named('other more'));
    await next.commit();
    other.connection.publish(named('other'));
    await next.commit();
    expect(listener.fake.receiving).toEqual(['other', 'talk']);
    expect([carried.deliveries, far.isSettled]).toEqual([[], false]);
    connection.publish(named('talk'));
    await next.commit();
    expect([carried.deliveries, far.isSettled]).toEqual([[], false]);
    expect(listener.fake.receiving).toEqual(['other', 'talk']);
    far.restored();
    await next.commit();
    expect([carried.receiving, far.isSettled]).toEqual([['other'], true]);
    expect(listener.fake.receiving).toEqual(['other', 'talk']);
    expect(listener.fake.deliveries.slice(seen).every((delivery) => delivery.length === 2)).toBe(true);
    // What is not subscribed to is not kept for another one.
    next.core.setSubscriptions(ACCOUNT, session, ann, { participants: [] });
    connection.publish([]);
    await next.commit();
    expect(other.fake.receiving).toEqual([]);
  });

  it('what the devices of an edge published goes once the edge comes without them', async () => {
    const stage = await scene();
    const { next, listener, other } = stage;
    const far = stage.cluster.edge('far', { process: 'p2' });
    await connect(far, next);
    expect([listener.fake.receiving, other.fake.receiving]).toEqual([['other'], []]);
  });

  it('what they published goes once the edge is given up', async () => {
    const { cluster, next, listener, other } = await scene();
    cluster.clock.advance(GIVEN_UP_MS - SETTLE_MS - 1);
    await next.commit();
    expect(listener.fake.receiving).toEqual(['other', 'talk']);
    cluster.clock.advance(1);
    await next.commit();
    expect([listener.fake.receiving, other.fake.receiving]).toEqual([['other'], []]);
  });
});
