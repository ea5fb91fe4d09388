import { beforeEach, describe, expect, it } from 'vitest';
import { MemoryStore, createCore, type Core } from '../core/index.js';
import { ACCOUNT, FakeDevice, newParticipant, TOKEN_SECRET } from '../core/testing/index.js';
import { FakeClock, silentLog } from '../shared/testing/index.js';
import { Desk, Edge } from './index.js';
import type { Crossing, FromLeader, LinkListener } from './messages.js';
import { KeptEdges } from './testing/kept-edges.js';

/** All that is under way is over. */
const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

describe('streams between edges', () => {
  const clock = new FakeClock();
  let store: MemoryStore;
  let edges: KeptEdges;
  let core: Core;
  let desk: Desk;
  let epoch: number;
  let session: string;

  const lead = (): void => {
    epoch += 1;
    core = createCore({ tokenSecret: TOKEN_SECRET, store, clock, log: silentLog });
    desk = new Desk({ core, epoch, store: edges, clock, log: silentLog });
  };
  beforeEach(() => {
    store = new MemoryStore();
    edges = new KeptEdges();
    epoch = 0;
    lead();
    session = core.createSession(ACCOUNT, {}).id;
  });

  /** An edge with the hosts `1` and `2`, and what it was told of its crossings. */
  function newEdge(
    id: string,
    {
      process = 'p',
      isLocated = true,
      isRestoring = false,
    }: Partial<Record<'isLocated' | 'isRestoring', boolean> & Record<'process', string>> = {},
  ) {
    const options = { edgeId: id, process, isRestoring };
    const edge = new Edge({ ...options, recognizes: () => true, clock, log: silentLog });
    if (isLocated) edge.crossings.located({ hosts: hostsOf(id, ['1', '2']), placements: [] });
    const told: Extract<FromLeader, { type: 'crossings' }>[] = [];
    let crossings: readonly Crossing[] | undefined;
    edge.crossings.watch((all) => (crossings = all));
    let cut = (): void => undefined;
    return {
      edge,
      told,
      now: (): readonly Crossing[] | undefined => crossings,
      cut: (): void => cut(),
      connect: async (): Promise<void> => {
        const ends: { edge?: LinkListener<FromLeader> } = {};
        const early: FromLeader[] = [];
        const atDesk = desk.accept({
          send: (message) => {
            if (message.type === 'crossings') told.push(message);
            if (ends.edge) ends.edge.received(message);
            else early.push(message);
          },
          close: () => cut(),
        });
        const atEdge = edge.connectTo({ send: (message) => atDesk.received(message), close: () => cut() });
        cut = (): void => {
          cut = () => undefined;
          atDesk.closed();
          atEdge.closed();
        };
        ends.edge = atEdge;
        for (const message of early) atEdge.received(message);
        await settled();
      },
      /** Connects a device of the session on a host, which publishes one stream of its name. */
      device: async (name: string, host: string, participantId = newParticipant(core)) => {
        const device = new FakeDevice(name);
        const connection = edge.connect((await edge.participantOf(participantId))!, device, {
          replace: true,
        });
        edge.crossings.placed({ deviceId: name, host, streamIds: [name] });
        connection.publish([{ streamId: name, mediaTypes: ['audio'] }]);
        if (core.participant(ACCOUNT, participantId).sessionId === undefined)
          core.addToSession(ACCOUNT, session, participantId, { sessionId: session });
        await settled();
        return { device, connection, participantId };
      },
    };
  }
  const hostsOf = (edge: string, ids: readonly string[]) =>
    ids.map((id) => ({ id, host: `10.0.0.${edge}`, port: 7000 + Number(id) }));

  /** Two edges, each with a device on host 1, that hear each other. */
  async function conversation() {
    const [a, b] = [newEdge('1'), newEdge('2')];
    await a.connect();
    await b.connect();
    const [ann, bob] = [await a.device('ann', '1'), await b.device('bob', '1')];
    return { a, b, ann, bob };
  }
  const toOther = (sent: readonly string[], from?: string): Partial<Crossing> => ({
    host: '1',
    otherHost: '1',
    sent,
    ...(from !== undefined && { from: { host: from, port: 7001 } }),
  });

  it('go once to each host of another edge that hears them, and to none of the same edge', async () => {
    const { a, b } = await conversation();
    expect(a.now()).toMatchObject([toOther(['ann'], '10.0.0.2')]);
    expect(b.now()).toMatchObject([toOther(['bob'], '10.0.0.1')]);
    const before = b.told.length;
    await b.device('eve', '1');
    expect(a.now()).toMatchObject([toOther(['ann'], '10.0.0.2')]);
    expect(b.now()).toMatchObject([toOther(['bob', 'eve'], '10.0.0.1')]);
    // The deliveries of three devices changed in one turn.
    expect(b.told).toHaveLength(before + 1);
    expect(b.told.at(-1)).toMatchObject({ isAll: false });
  });

  it('end when a device leaves, is closed by the core, or its subscription does not have them', async () => {
    const { a, b, ann, bob } = await conversation();
    const absent = newParticipant(core);
    core.addToSession(ACCOUNT, session, absent);
    const participants = [{ participantId: absent }];
    core.setSubscriptions(ACCOUNT, session, ann.participantId, { participants });
    await settled();
    expect(a.now()).toEqual([{ host: '1', otherEdge: '2', otherHost: '1', sent: ['ann'] }]);
    expect(b.now()).toMatchObject([{ sent: [], from: { host: '10.0.0.1' } }]);
    ann.connection.end('left');
    a.edge.crossings.removed('ann');
    await settled();
    expect([a.now(), b.now()]).toEqual([[], []]);

    const cid = await a.device('cid', '2');
    expect(a.now()).toHaveLength(1);
    a.cut();
    core.deleteParticipant(ACCOUNT, cid.participantId);
    await settled();
    expect(b.now(), 'the edge of the closed device is away').toEqual([]);
    expect(bob.device.closed).toEqual([]);
  });

  it('have sources that are no devices of the core', async () => {
    const { a, b, bob } = await conversation();
    a.edge.crossings.placed({ deviceId: 'a file', host: '2', streamIds: ['prompt'] });
    core.announcements.announce(bob.participantId, ['prompt']);
    await settled();
    expect(b.now()).toMatchObject([
      toOther(['bob'], '10.0.0.1'),
      { host: '1', otherHost: '2', sent: [], from: { host: '10.0.0.1', port: 7002 } },
    ]);
    a.edge.crossings.removed('a file');
    await settled();
    expect(b.now()).toMatchObject([toOther(['bob'], '10.0.0.1')]);
  });

  it('follow a device to another host of its edge, and hosts to another port', async () => {
    const { a, b } = await conversation();
    a.edge.crossings.hosts(hostsOf('1', ['2', '3']));
    await settled();
    expect(b.now()).toEqual([]);
    a.edge.crossings.placed({ deviceId: 'ann', host: '3', streamIds: ['ann'] });
    await settled();
    expect(b.now()).toMatchObject([{ host: '1', otherHost: '3', sent: ['bob'], from: { port: 7003 } }]);
    a.edge.crossings.hosts([{ id: '3', host: '10.0.0.1', port: 9 }]);
    await settled();
    expect(b.now()).toMatchObject([{ otherHost: '3', sent: ['bob'], from: { port: 9 } }]);
    // A host that takes no pipes is known by its devices alone.
    a.edge.crossings.placed({ deviceId: 'ann', host: 'old', streamIds: ['ann'] });
    await settled();
    expect([a.now(), b.now()]).toEqual([[], []]);
  });

  it('go on while an edge is away, and are told anew when it is back', async () => {
    const { a, b } = await conversation();
    const before = a.now();
    a.cut();
    await settled();
    expect([a.now(), b.now()?.length]).toEqual([before, 1]);
    await b.device('eve', '2');
    expect(a.now()).toEqual(before);
    await a.connect();
    expect(a.told.at(-1)).toMatchObject({ isAll: true });
    expect(a.now()).toMatchObject([{ otherHost: '1' }, { otherHost: '2', from: { port: 7002 } }]);
  });

  it('go on over the exchange of a gateway that does not know yet where its devices are', async () => {
    const { a, b, ann } = await conversation();
    const [told, seen] = [a.now(), b.told.length];
    a.cut();
    const next = newEdge('1', { process: 'another process', isLocated: false });
    const participant = core.participantOf(ann.participantId)!;
    const options = { replace: true, carriedSince: clock.now() };
    next.edge.connect(participant, ann.device, options).publish([{ streamId: 'ann', mediaTypes: ['audio'] }]);
    await next.connect();
    expect(next.now()).toEqual(told);
    next.edge.crossings.located({
      hosts: hostsOf('1', ['1', '2']),
      placements: [{ deviceId: 'ann', host: '1', streamIds: ['ann'] }],
    });
    await settled();
    expect(next.now()).toEqual(told);
    expect(b.told.slice(seen)).toEqual([]);
  });

  it('are kept by edges until all have told a new leader what they have', async () => {
    const { a, b } = await conversation();
    const before = [a.now(), b.now()];
    const seen = [a.told.length, b.told.length];
    for (const edge of [a, b]) edge.cut();
    desk.stop();
    lead();
    await a.connect();
    expect(a.told).toHaveLength(seen[0]!);
    await b.connect();
    expect([a.now(), b.now()]).toEqual(before);
    expect(a.told.slice(seen[0])).toMatchObject([{ isAll: true, crossings: before[0] }]);
    expect(b.told.slice(seen[1])).toMatchObject([{ isAll: true, crossings: before[1] }]);
  });

  it('of an edge that a new leader still waits for are kept by the others, while all else changes', async () => {
    const { a, b, bob } = await conversation();
    const c = newEdge('3');
    await c.connect();
    const [dan, eve] = [await c.device('dan', '1'), await a.device('eve', '2')];
    const withB = (edge: typeof a) => edge.now()?.filter(({ otherEdge }) => otherEdge === '2');
    const before = [withB(a), withB(c), b.now()];
    expect(before.map((crossings) => crossings?.length)).toEqual([2, 1, 3]);
    for (const edge of [a, b, c]) edge.cut();
    desk.stop();
    lead();
    await a.connect();
    await c.connect();
    clock.advance(3_000);
    await settled();
    expect(a.told.at(-1)).toMatchObject({ isAll: true, awaited: ['2'] });
    expect([withB(a), withB(c), b.now()]).toEqual(before);
    eve.connection.end('left');
    a.edge.crossings.removed('eve');
    await settled();
    expect(c.now()?.filter(({ otherEdge }) => otherEdge === '1')).toMatchObject([toOther(['dan'])]);
    expect([withB(a), withB(c)]).toEqual(before.slice(0, 2));

    // A new process states what it has by and by.
    const next = newEdge('2', { process: 'another process', isRestoring: true });
    await next.connect();
    const options = { replace: true, carriedSince: clock.now() };
    const participant = core.participantOf(bob.participantId)!;
    next.edge.crossings.placed({ deviceId: 'bob', host: '1', streamIds: ['bob'] });
    const carried = next.edge.connect(participant, bob.device, options);
    await settled();
    expect([withB(a), withB(c), next.now()]).toEqual([...before.slice(0, 2), undefined]);
    carried.publish([{ streamId: 'bob', mediaTypes: ['audio'] }]);
    next.edge.restored();
    await settled();
    expect(a.told.at(-1)).toMatchObject({ isAll: true, awaited: [] });
    expect(withB(a)).toMatchObject([toOther(['ann'], '10.0.0.2')]);
    expect(withB(c)).toEqual(before[1]);
    expect(next.now()).toHaveLength(2);
    expect(dan.device.closed).toEqual([]);
  });

  it('of an edge that is given up go nowhere', async () => {
    const { a, b } = await conversation();
    for (const edge of [a, b]) edge.cut();
    desk.stop();
    lead();
    await a.connect();
    clock.advance(12_999);
    await settled();
    expect(a.now()).toHaveLength(1);
    clock.advance(1);
    await settled();
    expect(a.now()).toEqual([]);
    await b.connect();
    expect(a.now()).toEqual([]);
  });
});
