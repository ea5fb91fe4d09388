import { expect, it, vi } from 'vitest';
import { ACCOUNT, FakeDevice, newParticipant } from '../../core/testing/index.js';
import { connectLocally, type Desk } from '../index.js';
import type { FromEdge } from '../messages.js';
import { AUDIO, Cluster, connect, couple, device } from '../testing/cluster-stage.js';
import { KeptEdges } from '../testing/kept-edges.js';

const LEASE_MS = 10_000;
const GIVEN_UP_MS = LEASE_MS + 3_000;
it('tells an edge when its devices receive all that they are to, again by each leader', async () => {
  const cluster = new Cluster();
  const first = cluster.leader();
  const [near, far] = [cluster.edge('near'), cluster.edge('far')];
  let settled = 0;
  void near.whenSettled().then(() => (settled += 1));
  await connect(near, first);
  await connect(far, first);
  expect([near.isSettled, settled]).toEqual([true, 1]);
  const [ann, bob] = couple(first);
  const { fake } = await device(near, first, ann, 'near device');
  const { connection } = await device(far, first, bob, 'far device');
  connection.publish(AUDIO);
  expect(fake.receiving).toEqual(['s']);
  await first.commit();
  first.desk.stop();
  expect(near.isSettled).toBe(false);
  const next = cluster.leader();
  fake.deliveries.length = 0;
  await connect(near, next);
  void near.whenSettled().then(() => (settled += 1));
  expect([near.isSettled, fake.deliveries]).toEqual([false, []]);
  await connect(far, next);
  expect([near.isSettled, settled, fake.receiving]).toEqual([true, 2, ['s']]);
  // One that does not come is not waited for any longer than 3 s; its streams stay.
  await next.commit();
  next.desk.stop();
  await connect(near, cluster.leader());
  expect(near.isSettled).toBe(false);
  cluster.clock.advance(3_000);
  expect([near.isSettled, fake.receiving]).toEqual([true, ['s']]);
});

it('hears of each write that fails, and acknowledges what happened once they succeed', async () => {
  const cluster = new Cluster();
  const kept = new KeptEdges();
  const leader = cluster.leader({ store: kept });
  const edge = cluster.edge('edge');
  await connect(edge, leader);
  const [ann] = couple(leader);
  const { connection } = await device(edge, leader, ann, 'device');
  const listeners: { readonly mock: { readonly calls: readonly unknown[] } }[] = [];
  const { flush } = kept;
  // No mock: it would listen itself.
  kept.flush = () => {
    const failed = new Promise<void>((_resolve, reject) => {
      setImmediate(() => reject(new Error('The database takes no writes.')));
    });
    // Otherwise one that nobody hears of would end the tests.
    failed.catch(() => undefined);
    listeners.push(vi.spyOn(failed, 'then'));
    return failed;
  };
  connection.hold(true);
  connection.hold(false);
  await vi.waitUntil(() => listeners.length === 2);
  expect(listeners.map(({ mock }) => mock.calls.length > 0)).toEqual([true, true]);
  await new Promise((resolve) => setImmediate(() => setImmediate(resolve)));
  expect(edge.history.waiting).toBe(2);
  kept.flush = flush;
  connection.hold(true);
  await leader.commit();
  expect(edge.history.waiting).toBe(0);
});

it('refuses devices at an edge that drains, and at no other', async () => {
  const cluster = new Cluster();
  const leader = cluster.leader();
  const [one, other] = [cluster.edge('one'), cluster.edge('other')];
  await connect(one, leader);
  await connect(other, leader);
  const [ann, bob] = couple(leader);
  const { fake } = await device(one, leader, ann, 'before');
  one.drain();
  const refused = new FakeDevice('late');
  const participant = leader.core.participant(ACCOUNT, bob);
  const shuttingDown = { code: 'PATCHBAY_SHUTTING_DOWN' };
  await expect(one.connect(participant, refused, { replace: true }).admitted).rejects.toMatchObject(
    shuttingDown,
  );
  await expect(one.admitDevice(participant)).rejects.toMatchObject(shuttingDown);
  expect([one.devices, one.history.waiting, fake.closed, refused.closed]).toEqual([1, 0, [], []]);
  await other.admitDevice(participant);
  await device(other, leader, bob, 'elsewhere');
});

it('is given up by a leader that stops, without the end of any device of another gateway', async () => {
  const cluster = new Cluster();
  const first = cluster.leader();
  const edge = cluster.edge('edge');
  await connect(edge, first);
  const [ann] = couple(first);
  const { fake, connection } = await device(edge, first, ann, 'd');
  await first.commit();
  first.desk.stop();
  const stopped = first.core.handOver();
  await first.commit();
  await stopped;
  expect([edge.isConnected, fake.closed, first.left]).toEqual([false, [], []]);
  cluster.clock.advance(GIVEN_UP_MS);
  connectLocally(edge, first.desk);
  expect(edge.isConnected).toBe(false);
  const next = cluster.leader();
  await connect(edge, next);
  expect(next.core.connectedDevice(ann)?.id).toBe('d');
  connection.end('left');
  expect(next.left).toEqual(['d left']);
});

it('gives up an edge that is away for too long, and closes what it has when it comes back', async () => {
  const cluster = new Cluster();
  const leader = cluster.leader({ edgeLeaseMs: LEASE_MS });
  const edge = cluster.edge('edge');
  let cut = await connect(edge, leader);
  const [ann, bob] = couple(leader);
  const { fake } = await device(edge, leader, ann, 'd');
  cut();
  const awaySince = cluster.clock.now();
  expect(leader.desk.edges()).toMatchObject([{ awaySince, isLost: false }]);
  cluster.clock.advance(GIVEN_UP_MS - 1);
  cut = await connect(edge, leader);
  cut();
  cluster.clock.advance(GIVEN_UP_MS - 1);
  await leader.commit();
  expect(leader.left).toEqual([]);
  // A connection may come before the end of the one before is noticed.
  await connect(edge, leader);
  cut = await connect(edge, leader);
  cluster.clock.advance(GIVEN_UP_MS);
  await leader.commit();
  expect([leader.left, leader.desk.edges()[0]?.awaySince]).toEqual([[], undefined]);
  cut();
  cluster.clock.advance(GIVEN_UP_MS);
  await leader.commit();
  expect(leader.left).toEqual(['d crashed']);
  expect(leader.desk.edges()).toMatchObject([{ isLost: true, devices: 0 }]);
  // Meanwhile another one wants to connect there.
  const late = new FakeDevice('late');
  const asked = edge.connect(leader.core.participant(ACCOUNT, bob), late, { replace: true });
  expect(fake.closed).toEqual([]);
  await connect(edge, leader);
  await asked.admitted;
  expect([fake.closed, late.closed, edge.devices]).toEqual([['crashed'], [], 1]);
  expect(leader.desk.edges()).toMatchObject([{ isConnected: true, isLost: false, closing: 0, devices: 1 }]);
  expect(leader.left).toEqual(['d crashed']);
});

it('is remembered by the next leader, when an edge was given up', async () => {
  const cluster = new Cluster();
  const first = cluster.leader();
  const edge = cluster.edge('edge');
  const cut = await connect(edge, first);
  const [ann] = couple(first);
  const { fake } = await device(edge, first, ann, 'd');
  cut();
  await first.commit();
  first.desk.stop();
  const second = cluster.leader();
  let accounted = false;
  void second.desk.accounted.then(() => (accounted = true));
  cluster.clock.advance(GIVEN_UP_MS - 1);
  await second.commit();
  expect(accounted).toBe(false);
  cluster.clock.advance(1);
  await second.commit();
  expect(accounted).toBe(true);
  second.desk.stop();
  const third = cluster.leader({ forgetMs: 60_000 });
  await third.desk.accounted;
  await connect(edge, third);
  expect([fake.closed, third.core.connectedDevice(ann)]).toEqual([['crashed'], undefined]);
});

it('forgets an edge at once that stops with nothing left, and waits for one that leaves something', async () => {
  const cluster = new Cluster();
  const leader = cluster.leader();
  const [edge, other] = [cluster.edge('edge'), cluster.edge('other')];
  const cut = await connect(edge, leader);
  await connect(other, leader);
  const [ann, bob] = couple(leader);
  const { connection } = await device(edge, leader, ann, 'd');
  await device(other, leader, bob, 'e');
  edge.leave();
  connection.end('left');
  edge.leave();
  await leader.commit();
  expect(leader.desk.edges()).toHaveLength(2);
  edge.leave();
  cut();
  other.leave();
  await leader.commit();
  expect(leader.desk.edges()).toMatchObject([{ id: 'other', isConnected: true, devices: 1 }]);
  expect(cluster.edgeRows()).toEqual(['other']);
  // It may be started again.
  await connect(cluster.edge('edge', { process: 'p2' }), leader);
  expect(leader.desk.edges()).toHaveLength(2);
});

it('forgets an edge that never comes back, and what it would have gone on with', async () => {
  const cluster = new Cluster();
  const leader = cluster.leader({ forgetMs: 60_000 });
  const edge = cluster.edge('edge');
  const cut = await connect(edge, leader);
  const [ann] = couple(leader);
  const { fake } = await device(edge, leader, ann, 'd');
  edge.calls.saveCall('d', 'document');
  await leader.commit();
  cut();
  cluster.clock.advance(GIVEN_UP_MS);
  await leader.commit();
  expect([cluster.edgeRows(), leader.store.recordsOf('edge').length]).toEqual([['edge'], 1]);
  cluster.clock.advance(60_000);
  await leader.commit();
  expect([cluster.edgeRows(), leader.store.recordsOf('edge'), leader.desk.edges()]).toEqual([[], [], []]);
  // A machine that slept for a day has calls of which nothing is known any more.
  await connect(edge, leader);
  expect([fake.closed, leader.core.connectedDevice(ann)]).toEqual([['crashed'], undefined]);
});

it('goes on with the devices of an edge whose next process connects them by and by', async () => {
  const cluster = new Cluster();
  const leader = cluster.leader();
  const before = cluster.edge('edge');
  const hearing = cluster.edge('hearing');
  const cut = await connect(before, leader);
  await connect(hearing, leader);
  const [ann, bob] = couple(leader);
  const { connection } = await device(before, leader, ann, 'd');
  connection.publish(AUDIO);
  const { fake: hears } = await device(hearing, leader, bob, 'hears');
  const gone = newParticipant(leader.core);
  await device(before, leader, gone, 'gone');
  const ended = newParticipant(leader.core);
  await device(before, leader, ended, 'ended');
  await leader.commit();
  cut();
  hears.deliveries.length = 0;
  const after = cluster.edge('edge', { process: 'p2', isRestoring: true });
  await connect(after, leader);
  const participant = (await after.participantOf(ann))!;
  const fake = new FakeDevice('d', 'phone', { hold: true });
  const options = { replace: false, carriedSince: cluster.clock.now(), held: true };
  const carried = after.connect(participant, fake, options);
  await leader.commit();
  await carried.admitted;
  expect(leader.core.device(ACCOUNT, ann)).toMatchObject({ held: true, streams: AUDIO });
  carried.publish(AUDIO);
  expect([leader.left, after.isSettled]).toEqual([[], false]);
  // One that the core ends before it is connected again does not go on.
  leader.core.disconnectDevice(ACCOUNT, ended);
  const late = new FakeDevice('ended');
  after.connect(leader.core.participant(ACCOUNT, ended), late, { replace: false, carriedSince: 0 });
  expect([late.closed, leader.core.connectedDevice(ended)]).toEqual([['disconnected'], undefined]);
  after.restored();
  // The one that the next process does not have is over.
  expect([leader.left, after.isSettled]).toEqual([['ended disconnected', 'gone crashed'], true]);
  expect([hears.deliveries, fake.closed]).toEqual([[], []]);
});

it('waits no longer for a process that hangs than for an edge that is away', async () => {
  const cluster = new Cluster();
  const leader = cluster.leader();
  const cut = await connect(cluster.edge('edge'), leader);
  cut();
  await leader.commit();
  leader.desk.stop();
  const next = cluster.leader();
  await connect(cluster.edge('edge', { process: 'p2', isRestoring: true }), next);
  let accounted = false;
  void next.desk.accounted.then(() => (accounted = true));
  cluster.clock.advance(GIVEN_UP_MS - 1);
  await next.commit();
  expect(accounted).toBe(false);
  cluster.clock.advance(1);
  await next.commit();
  expect(accounted).toBe(true);
});

it('acknowledges to a process what that has told, and not what the one before had', async () => {
  const cluster = new Cluster();
  const leader = cluster.leader();
  const before = cluster.edge('edge');
  const cut = await connect(before, leader);
  const [ann] = couple(leader);
  const { connection } = await device(before, leader, ann, 'd');
  for (let n = 0; n < 5; n += 1) connection.dtmf('1', 100);
  cut();
  // Six events are counted, and not on disk, when the next process connects and tells its first.
  const after = cluster.edge('edge', { process: 'p2' });
  const participant = leader.core.participant(ACCOUNT, ann);
  after.connect(participant, new FakeDevice('d'), { replace: false, carriedSince: 0 });
  const told: FromEdge[] = [];
  connectLocally(after, {
    accept: (link) => {
      const listener = leader.desk.accept(link);
      const received = (message: FromEdge): void => {
        told.push(message);
        listener.received(message);
      };
      return { ...listener, received };
    },
  });
  expect(after.history.waiting).toBe(1);
  leader.store.commit();
  await Promise.resolve();
  await Promise.resolve();
  expect(told).toHaveLength(1);
  expect(after.history.waiting).toBe(1);
  await leader.commit();
  expect(after.history.waiting).toBe(0);
});

it("keeps records of calls for the edge's next process, and tells when they are on disk", async () => {
  const cluster = new Cluster();
  const first = cluster.leader();
  const edge = cluster.edge('edge');
  edge.calls.saveCall('early', 'before there is a leader');
  const cut = await connect(edge, first);
  expect(edge.calls.counts.waiting).toBe(0);
  edge.calls.saveCall('late', 'first');
  edge.calls.saveCall('late', 'x'.repeat(900_000));
  for (const id of ['a', 'b', 'c']) edge.calls.saveCall(id, 'x'.repeat(400_000));
  edge.calls.deleteCall('early');
  expect(edge.calls.counts.waiting).toBe(5);
  cut();
  // What is not on disk is told again.
  const next = cluster.leader();
  await connect(edge, next);
  expect(edge.calls.counts).toEqual({ waiting: 0, dropped: 0 });
  const after = cluster.edge('edge', { process: 'p2' });
  const found = after.calls.calls();
  await connect(cluster.edge('other'), next);
  await connect(after, next);
  expect((await found).map(({ id, document }) => [id, document.length])).toEqual([
    ['a', 400_000],
    ['b', 400_000],
    ['c', 400_000],
    ['late', 900_000],
  ]);
});

it("lets no edge change another one's records of calls", async () => {
  const cluster = new Cluster();
  const leader = cluster.leader();
  const [one, other] = [cluster.edge('one'), cluster.edge('other')];
  await connect(one, leader);
  await connect(other, leader);
  one.calls.saveCall('call', 'of one');
  await leader.commit();
  other.calls.saveCall('call', 'of another');
  other.calls.deleteCall('call');
  await leader.commit();
  expect(leader.store.recordsOf('one')).toEqual([{ id: 'call', document: 'of one' }]);
  const [calls] = await Promise.all([other.calls.calls(), leader.commit()]);
  expect(calls).toEqual([]);
  expect(other.calls.counts.waiting).toBe(0);
});

it('tells edges of other gateways nothing new while another one may lead, and all of it when none does', async () => {
  const cluster = new Cluster();
  let isLeading = true;
  const leader = cluster.leader({ isLeading: () => isLeading });
  const [own, other] = [cluster.edge('own'), cluster.edge('other')];
  await connect(own, leader);
  await connect(other, { desk: overNetwork(leader.desk), commit: leader.commit });
  const [ann, bob] = couple(leader);
  const near = await device(own, leader, ann, 'own device');
  const far = await device(other, leader, bob, 'other device');
  isLeading = false;
  near.connection.publish(AUDIO);
  far.connection.publish([{ streamId: 't', mediaTypes: ['audio'] }]);
  // In this process nobody can be misled: what one's own devices hear goes on as before.
  expect([near.fake.receiving, far.fake.receiving]).toEqual([['t'], []]);
  // Who waits for an answer gets it.
  expect(await other.participantOf(bob)).toMatchObject({ id: bob });
  cluster.clock.advance(1_000);
  expect(far.fake.receiving).toEqual([]);
  isLeading = true;
  cluster.clock.advance(1_000);
  expect(far.fake.receiving).toEqual(['s']);
  leader.desk.stop();
});

/** As an edge of another gateway sees it. */
function overNetwork(desk: Desk): Pick<Desk, 'accept'> {
  return {
    accept: ({ send, close }) => desk.accept({ send: (message) => send(message), close: () => close() }),
  };
}
