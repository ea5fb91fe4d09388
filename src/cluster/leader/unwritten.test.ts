import { describe, expect, it } from 'vitest';
import { ACCOUNT, FakeDevice } from '../../core/testing/index.js';
import { connectLocally } from '../index.js';
import { AUDIO, Cluster, connect, couple, device } from '../testing/cluster-stage.js';

describe('what a leader has not written down when it dies', () => {
  it('is kept by the edge that told it, also over another connection with that leader', async () => {
    const cluster = new Cluster();
    const first = cluster.leader();
    const edge = cluster.edge('edge');
    const cut = await connect(edge, first);
    const [ann] = couple(first);
    const { connection } = await device(edge, first, ann, 'phone');
    connection.dtmf('5', 100);
    cut();
    // Nothing is committed from here on.
    const again = connectLocally(edge, first.desk);
    expect(edge.history.waiting).toBe(1);
    again();
    const next = cluster.leader();
    const digits: string[] = [];
    next.core.on('dtmf', ({ digit }) => digits.push(digit));
    await connect(edge, next);
    expect([digits, edge.history.waiting]).toEqual([['5'], 0]);
  });

  it('of who replaced whom is known by when they were connected', async () => {
    const cluster = new Cluster();
    const first = cluster.leader();
    const [near, far] = [cluster.edge('near'), cluster.edge('far')];
    const cut = await connect(near, first);
    await connect(far, first);
    const [ann] = couple(first);
    await device(near, first, ann, 'old');
    cut();
    cluster.clock.advance(1000);
    const fake = new FakeDevice('new', 'phone', { hold: true });
    await far.connect(first.core.participant(ACCOUNT, ann), fake, { replace: true }).admitted;
    first.desk.stop();
    // The edge with the first of them has not heard of the second, and a new process of it does not know when that was.
    const next = cluster.leader();
    const again = cluster.edge('near', { process: 'p2' });
    const old = new FakeDevice('old', 'phone', { hold: true });
    const carriedSince = cluster.clock.now() - 1000;
    again.connect(next.core.participant(ACCOUNT, ann), old, { replace: false, carriedSince });
    await connect(again, next);
    await connect(far, next);
    await next.commit();
    expect([next.core.connectedDevice(ann)?.id, old.closed, fake.closed]).toEqual(['new', ['replaced'], []]);
  });

  it('of an edge’s calls is not told to the next process of the edge before it is written', async () => {
    const cluster = new Cluster();
    const leader = cluster.leader();
    const before = cluster.edge('edge');
    const cut = await connect(before, leader);
    const [ann] = couple(leader);
    await device(before, leader, ann, 'phone');
    before.calls.saveCall('phone', 'all of it');
    await leader.commit();
    before.calls.deleteCall('phone');
    cut();
    const edge = cluster.edge('edge', { process: 'p2', isRestoring: true });
    connectLocally(edge, leader.desk);
    let calls: readonly unknown[] | undefined;
    const told = edge.calls.calls().then((found) => (calls = found));
    await new Promise((resolve) => setImmediate(resolve));
    expect(calls).toBeUndefined();
    await leader.commit();
    await told;
    expect(calls).toEqual([]);
  });

  it('of a device that goes on does not keep the next one from telling it that it receives nothing', async () => {
    const cluster = new Cluster();
    const first = cluster.leader();
    const [near, far] = [cluster.edge('near'), cluster.edge('far')];
    await connect(near, first);
    await connect(far, first);
    const [ann, bob] = couple(first);
    const { connection } = await device(far, first, bob, 'talker');
    connection.publish(AUDIO);
    await first.commit();
    // What follows that one waits with it at the next leader, until all edges have come: no leader has admitted it.
    const refused = near.connect(first.core.participant(ACCOUNT, bob), new FakeDevice('no'), {
      replace: false,
    });
    await expect(refused.admitted).rejects.toMatchObject({ code: 'PATCHBAY_ALREADY_CONNECTED' });
    const listener = new FakeDevice('listener', 'phone', { hold: true });
    await near.connect(first.core.participant(ACCOUNT, ann), listener, { replace: true }).admitted;
    expect(listener.receiving).toEqual(['s']);
    first.desk.stop();
    const next = cluster.leader();
    await connect(near, next);
    await connect(cluster.edge('far', { process: 'p2' }), next);
    expect(next.core.connectedDevice(ann)?.id).toBe('listener');
    expect(listener.receiving).toEqual([]);
  });
});
