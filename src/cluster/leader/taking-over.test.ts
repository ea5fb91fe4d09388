import { describe, expect, it } from 'vitest';
import { ACCOUNT, FakeDevice } from '../../core/testing/index.js';
import { connectLocally, type Edge } from '../index.js';
import type { FromEdge } from '../messages.js';
import { AUDIO, Cluster, connect, couple, device, type Leader } from '../testing/cluster-stage.js';

const LEASE_MS = 10_000;
const GIVEN_UP_MS = LEASE_MS + 3_000;
const PARTS = { leaseMs: LEASE_MS, takesOver: true };
const OPTIONS = { edgeLeaseMs: LEASE_MS, takesOver: true };

/** A device that another edge may go on with. */
class FakePhone extends FakeDevice {
  isTakenOver = false;
  onTakenOver: () => void = () => undefined;

  constructor(id: string) {
    super(id, 'phone', {
      hold: true,
      takenOver: () => {
        this.isTakenOver = true;
        this.onTakenOver();
      },
    });
  }
}

/** Two edges of a leader, at the first of which a phone is whom somebody at the second hears. */
async function scene(cluster: Cluster, leader: Leader) {
  const [near, far] = [cluster.edge('near', PARTS), cluster.edge('far', PARTS)];
  const cut = await connect(near, leader);
  await connect(far, leader);
  const [ann, bob] = couple(leader);
  const phone = new FakePhone('phone');
  const connection = near.connect(leader.core.participant(ACCOUNT, ann), phone, { replace: true });
  await leader.commit();
  connection.publish(AUDIO);
  near.calls.saveCall('phone', 'all of it');
  const { fake: listener } = await device(far, leader, bob, 'listener');
  await leader.commit();
  return { near, far, cut, ann, phone, connection, listener };
}

/** What an edge is told to go on with; it does so, or not. */
function taking(edge: Edge, { core, clock }: { core: Leader['core']; clock: Cluster['clock'] }, ann: string) {
  const told: string[] = [];
  const phone = new FakePhone('phone');
  const participant = core.participant(ACCOUNT, ann);
  let goesOn = true;
  edge.onTakeOver(async ({ id, document }) => {
    told.push(`${id}: ${document}`);
    if (!goesOn) return false;
    const carriedSince = clock.now() - 60_000;
    await edge.connect(participant, phone, { replace: false, carriedSince }).admitted;
    edge.calls.saveCall(id, 'at another edge');
    return true;
  });
  return { told, phone, refuse: () => (goesOn = false) };
}

describe('a call of an edge that is gone', () => {
  it('goes on at another one as the same device, and ends without a word where it was', async () => {
    const cluster = new Cluster();
    const leader = cluster.leader(OPTIONS);
    const { near, far, cut, ann, phone, listener } = await scene(cluster, leader);
    const taken = taking(far, { ...leader, clock: cluster.clock }, ann);
    cut();
    cluster.clock.advance(GIVEN_UP_MS - 1);
    await leader.commit();
    expect(taken.told).toEqual([]);
    cluster.clock.advance(1);
    await leader.commit();
    expect(taken.told).toEqual(['phone: all of it']);
    expect(leader.left).toEqual([]);
    expect(leader.core.connectedDevice(ann)?.id).toBe('phone');
    expect(listener.receiving).toEqual(['s']);
    expect(leader.store.ownerOf('phone')).toBe('far');
    // What it is told from now on goes there.
    leader.core.setSubscriptions(ACCOUNT, leader.core.participant(ACCOUNT, ann).sessionId!, ann, {});
    expect([taken.phone.receiving, phone.deliveries]).toEqual([[], []]);
    // The edge before is back: nothing that it does with the call counts.
    near.calls.saveCall('phone', 'of an edge that does not know it yet');
    await connect(near, leader);
    await leader.commit();
    expect([phone.isTakenOver, phone.closed, near.devices, taken.phone.closed]).toEqual([true, [], 0, []]);
    near.calls.deleteCall('phone');
    await leader.commit();
    expect(leader.store.recordsOf('far')).toEqual([{ id: 'phone', document: 'at another edge' }]);
    expect(leader.left).toEqual([]);
  });

  it('ends as crashed when the other one cannot go on with it, or none would', async () => {
    const cluster = new Cluster();
    const leader = cluster.leader(OPTIONS);
    const { far, cut, ann } = await scene(cluster, leader);
    const taken = taking(far, { ...leader, clock: cluster.clock }, ann);
    taken.refuse();
    cut();
    cluster.clock.advance(GIVEN_UP_MS);
    await leader.commit();
    expect([taken.told, leader.left]).toEqual([['phone: all of it'], ['phone crashed']]);
    expect(leader.store.ownerOf('phone')).toBeUndefined();

    const other = new Cluster();
    const never = other.leader({ ...OPTIONS, takesOver: false });
    const second = await scene(other, never);
    const untouched = taking(second.far, { ...never, clock: other.clock }, second.ann);
    second.cut();
    other.clock.advance(GIVEN_UP_MS);
    await never.commit();
    expect([untouched.told, never.left]).toEqual([[], ['phone crashed']]);
  });

  it('that an application has ended meanwhile is ended at the other one', async () => {
    const cluster = new Cluster();
    const leader = cluster.leader(OPTIONS);
    const { far, cut, ann } = await scene(cluster, leader);
    const taken = taking(far, { ...leader, clock: cluster.clock }, ann);
    cut();
    leader.core.deleteParticipant(ACCOUNT, ann);
    await leader.commit();
    cluster.clock.advance(GIVEN_UP_MS);
    await leader.commit();
    expect([taken.told, taken.phone.closed]).toEqual([['phone: all of it'], ['participant-deleted']]);
    expect(leader.left).toEqual(['phone participant-deleted']);
  });

  it('is not given to an edge that drains', async () => {
    const cluster = new Cluster();
    const leader = cluster.leader(OPTIONS);
    const { far, cut, ann } = await scene(cluster, leader);
    const taken = taking(far, { ...leader, clock: cluster.clock }, ann);
    far.drain();
    cut();
    cluster.clock.advance(GIVEN_UP_MS);
    await leader.commit();
    expect([taken.told, leader.left]).toEqual([[], ['phone crashed']]);
  });

  it('goes on at once when the processes of the edge are known to be dead', async () => {
    const cluster = new Cluster();
    let isDead = false;
    const leader = cluster.leader({ ...OPTIONS, isDead: () => Promise.resolve(isDead) });
    const { far, cut, ann } = await scene(cluster, leader);
    const taken = taking(far, { ...leader, clock: cluster.clock }, ann);
    cut();
    cluster.clock.advance(1_000);
    await leader.commit();
    expect(taken.told).toEqual([]);
    isDead = true;
    cluster.clock.advance(500);
    await leader.commit();
    expect([taken.told, leader.left]).toEqual([['phone: all of it'], []]);
  });

  it('is told when the leader changes before the other one has heard of it', async () => {
    const cluster = new Cluster();
    const leader = cluster.leader(OPTIONS);
    const { far, cut, ann } = await scene(cluster, leader);
    cut();
    // Nobody there is ready for it.
    cluster.clock.advance(GIVEN_UP_MS);
    await leader.commit();
    leader.desk.stop();
    const next = cluster.leader(OPTIONS);
    let isAccounted = false;
    void next.desk.accounted.then(() => (isAccounted = true));
    const taken = taking(far, { ...next, clock: cluster.clock }, ann);
    // What the leader before had told goes on; that one cannot admit it any more.
    await connect(far, next);
    await next.commit();
    expect(taken.told).toEqual(['phone: all of it']);
    expect(next.core.connectedDevice(ann)?.id).toBe('phone');
    expect([next.left, isAccounted]).toEqual([[], true]);
  });

  it('goes back to where it was when the leader dies before it has written down who is to have it', async () => {
    const cluster = new Cluster();
    const leader = cluster.leader(OPTIONS);
    const { near, far, cut, ann, phone, connection } = await scene(cluster, leader);
    const there = taking(far, { ...leader, clock: cluster.clock }, ann);
    cut();
    // The database is away from now on.
    connection.dtmf('5', 100);
    cluster.clock.advance(GIVEN_UP_MS);
    connectLocally(near, leader.desk);
    expect(phone.isTakenOver).toBe(true);
    const next = cluster.leader(OPTIONS);
    const here = taking(near, { ...next, clock: cluster.clock }, ann);
    await connect(near, next);
    await connect(far, next);
    await next.commit();
    expect([here.told, there.told]).toEqual([['phone: all of it'], []]);
    expect([next.core.connectedDevice(ann)?.id, next.left]).toEqual(['phone', []]);
    expect(next.store.recordsOf('near')).toEqual([{ id: 'phone', document: 'at another edge' }]);
  });

  it('that had ended where it was is over, though a leader that died had another one go on with it', async () => {
    const cluster = new Cluster();
    const leader = cluster.leader(OPTIONS);
    const { near, far, cut, connection } = await scene(cluster, leader);
    cut();
    connection.end('left');
    near.calls.deleteCall('phone');
    // The database is away from now on.
    cluster.clock.advance(GIVEN_UP_MS);
    connectLocally(near, leader.desk);
    const next = cluster.leader(OPTIONS);
    await connect(near, next);
    await connect(far, next);
    await next.commit();
    expect([next.left, next.store.recordsOf('near'), next.store.recordsOf('far')]).toEqual([
      ['phone left'],
      [],
      [],
    ]);
  });

  it('goes on at a third one when the second dies too', async () => {
    const cluster = new Cluster();
    const leader = cluster.leader(OPTIONS);
    const { cut, far, ann, listener } = await scene(cluster, leader);
    const third = cluster.edge('third', PARTS);
    far.drain();
    const cutThird = await connect(third, leader);
    const first = taking(third, { ...leader, clock: cluster.clock }, ann);
    cut();
    cluster.clock.advance(GIVEN_UP_MS);
    await leader.commit();
    expect(first.told).toHaveLength(1);
    const fourth = cluster.edge('fourth', PARTS);
    await connect(fourth, leader);
    const second = taking(fourth, { ...leader, clock: cluster.clock }, ann);
    cutThird();
    cluster.clock.advance(GIVEN_UP_MS);
    await leader.commit();
    expect(second.told).toEqual(['phone: at another edge']);
    expect([leader.left, listener.receiving]).toEqual([[], ['s']]);
  });

  it('goes back to the first one when the second dies, before the leader has written down that it was there', async () => {
    const cluster = new Cluster();
    const leader = cluster.leader(OPTIONS);
    const { near, far, cut, ann, listener, phone } = await scene(cluster, leader);
    far.drain();
    const second = cluster.edge('second', PARTS);
    const cutSecond = await connect(second, leader);
    const there = taking(second, { ...leader, clock: cluster.clock }, ann);
    cut();
    cluster.clock.advance(GIVEN_UP_MS);
    await leader.commit();
    expect(there.told).toHaveLength(1);
    const here = taking(near, { ...leader, clock: cluster.clock }, ann);
    // Phones forget a call that another edge has.
    phone.onTakenOver = () => near.calls.deleteCall('phone');
    connectLocally(near, leader.desk);
    expect(phone.isTakenOver).toBe(true);
    cutSecond();
    cluster.clock.advance(GIVEN_UP_MS);
    await leader.commit();
    expect(here.told).toEqual(['phone: at another edge']);
    expect(leader.core.connectedDevice(ann)?.id).toBe('phone');
    expect(leader.store.ownerOf('phone')).toBe('near');
    expect([leader.left, listener.receiving, near.history.waiting]).toEqual([[], ['s'], 0]);
  });
});

describe('the lease of an edge', () => {
  it('runs from when it was asked for, and ends by itself', async () => {
    const cluster = new Cluster();
    const leader = cluster.leader(OPTIONS);
    const [near, far] = [cluster.edge('near', PARTS), cluster.edge('far', PARTS)];
    await connect(far, leader);
    const granted: number[] = [];
    near.lease.onGranted((ms) => granted.push(ms));
    let held = 0;
    void near.lease.whenHeld().then(() => (held += 1));
    expect(near.lease.isHeld).toBe(false);
    const cut = await connect(near, leader);
    expect([near.lease.isHeld, granted, held]).toEqual([true, [LEASE_MS], 1]);
    cluster.clock.advance(1_000);
    cluster.clock.advance(1_000);
    expect(granted).toEqual([LEASE_MS, LEASE_MS, LEASE_MS]);
    cut();
    cluster.clock.advance(LEASE_MS - 1);
    expect(near.lease.isHeld).toBe(true);
    cluster.clock.advance(1);
    expect(near.lease.isHeld).toBe(false);
    await connect(near, leader);
    expect(near.lease.isHeld).toBe(true);
  });

  it('has no end where calls are not taken over', async () => {
    const cluster = new Cluster();
    const edge = cluster.edge('edge');
    expect(edge.lease.isHeld).toBe(true);
    const cut = await connect(edge, cluster.leader({ takesOver: false }));
    cut();
    cluster.clock.advance(60 * LEASE_MS);
    expect(edge.lease.isHeld).toBe(true);
  });

  it('is granted by a leader that cannot reach the database only while it has all edges', async () => {
    const cluster = new Cluster();
    let isLeading = true;
    const leader = cluster.leader({ ...OPTIONS, isLeading: () => isLeading });
    const { near, far, cut } = await scene(cluster, leader);
    isLeading = false;
    for (let s = 0; s < 20; s += 1) cluster.clock.advance(1_000);
    expect([near.lease.isHeld, far.lease.isHeld]).toEqual([true, true]);
    // The one that is away may lead.
    cut();
    for (let s = 0; s < 20; s += 1) cluster.clock.advance(1_000);
    expect([near.lease.isHeld, far.lease.isHeld]).toEqual([false, false]);
    isLeading = true;
    cluster.clock.advance(1_000);
    expect(far.lease.isHeld).toBe(true);
  });

  it('is granted by such a leader also when others’ calls stay where they are', async () => {
    const cluster = new Cluster();
    let isLeading = true;
    const leader = cluster.leader({ ...OPTIONS, isLeading: () => isLeading });
    const [near, far] = [cluster.edge('near', PARTS), cluster.edge('far', { leaseMs: Infinity })];
    expect(far.lease.isHeld).toBe(true);
    await connect(near, leader);
    await connect(far, leader);
    isLeading = false;
    for (let s = 0; s < 20; s += 1) cluster.clock.advance(1_000);
    expect([near.lease.isHeld, far.lease.isHeld]).toEqual([true, true]);
  });

  it('is not granted by a leader that cannot reach the database, and counts on edges that may be gone', async () => {
    const cluster = new Cluster();
    let isLeading = true;
    let isSilent = false;
    const leader = cluster.leader({ ...OPTIONS, isLeading: () => isLeading });
    const [near, far] = [cluster.edge('near', PARTS), cluster.edge('far', PARTS)];
    await connect(near, leader);
    // It seems to be connected, as to a process that was paused while the connection ended.
    const accept: Leader['desk']['accept'] = (link) => {
      const { received } = leader.desk.accept(link);
      return { received: (message) => !isSilent && received(message), closed: () => undefined };
    };
    await connect(far, { ...leader, desk: { accept } });
    isLeading = false;
    for (let s = 0; s < 20; s += 1) cluster.clock.advance(1_000);
    expect([near.lease.isHeld, far.lease.isHeld]).toEqual([true, true]);
    isSilent = true;
    for (let s = 0; s < LEASE_MS / 1_000 + 3; s += 1) cluster.clock.advance(1_000);
    expect([near.lease.isHeld, far.lease.isHeld]).toEqual([false, false]);
  });

  it('is not granted by what was asked before a pause of the leader', async () => {
    const cluster = new Cluster();
    let isLeading = true;
    let isPaused = false;
    const leader = cluster.leader({ ...OPTIONS, isLeading: () => isLeading });
    const [near, far] = [cluster.edge('near', PARTS), cluster.edge('far', PARTS)];
    const waiting: (() => void)[] = [];
    const accept: Leader['desk']['accept'] = (link) => {
      const { received, closed } = leader.desk.accept(link);
      const receive = (message: FromEdge): void => {
        if (isPaused) waiting.push(() => received(message));
        else received(message);
      };
      return { received: receive, closed };
    };
    const paused = { ...leader, desk: { accept } };
    await connect(near, paused);
    await connect(far, paused);
    for (let s = 0; s < 5; s += 1) cluster.clock.advance(1_000);
    isPaused = true;
    for (let s = 0; s < LEASE_MS / 1_000 + 5; s += 1) cluster.clock.advance(1_000);
    isPaused = false;
    isLeading = false;
    for (const receive of waiting) receive();
    expect([near.lease.isHeld, far.lease.isHeld]).toEqual([false, false]);
    // Both are there, as the leader finds out with what is asked next.
    for (let s = 0; s < 3; s += 1) cluster.clock.advance(1_000);
    expect([near.lease.isHeld, far.lease.isHeld]).toEqual([true, true]);
  });
});
