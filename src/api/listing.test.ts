import { connect, type Socket } from 'node:net';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { until } from '../../test/support/until.js';
import { Slices } from './slices.js';
import { TestDevice } from './testing/device.js';
import { ACCOUNT, basic, OTHER_ACCOUNT, startApi, type TestGateway } from './testing/gateway.js';

let gateway: TestGateway;
beforeAll(async () => {
  gateway = await startApi();
});
afterEach(() => {
  const { core } = gateway;
  for (const { id } of [ACCOUNT, OTHER_ACCOUNT]) {
    const all = { limit: 1_000 };
    while (core.counts().sessions > 0 && core.sessions(id, all).items.length > 0) {
      for (const session of core.sessions(id, all).items) core.deleteSession(id, session.id);
    }
    for (const participant of core.participants(id, all).items) core.deleteParticipant(id, participant.id);
  }
});
afterAll(() => gateway.stop());

async function get(path: string): Promise<unknown> {
  const response = await gateway.ask(path);
  expect(response.status).toBe(200);
  return response.json();
}

interface Listing {
  items: { id: string; tag?: string }[];
  next?: string;
}

async function wholeListing(path: string): Promise<Listing['items'][]> {
  const pages: Listing['items'][] = [];
  let cursor: string | undefined = '';
  while (cursor !== undefined) {
    const page = (await get(`${path}${cursor && `&cursor=${encodeURIComponent(cursor)}`}`)) as Listing;
    pages.push(page.items);
    cursor = page.next;
  }
  return pages;
}

describe('listings', () => {
  it('of sessions come in pages, in order, without those of other accounts', async () => {
    const { core } = gateway;
    const made = Array.from({ length: 5 }, () => core.createSession(ACCOUNT.id, {}).id);
    core.createSession(OTHER_ACCOUNT.id, {});
    const pages = await wholeListing('/sessions?limit=2');
    expect(pages.map((page) => page.map(({ id }) => id))).toEqual([
      made.slice(0, 2),
      made.slice(2, 4),
      made.slice(4),
    ]);
  });

  it('of participants too', async () => {
    const { core } = gateway;
    const made = Array.from({ length: 3 }, () => core.createParticipant(ACCOUNT.id, {}).participant.id);
    core.createParticipant(OTHER_ACCOUNT.id, {});
    const pages = await wholeListing('/participants?limit=2');
    expect(pages.map((page) => page.map(({ id }) => id))).toEqual([made.slice(0, 2), made.slice(2)]);
  });

  it('can be of one tag, in any script', async () => {
    const { core } = gateway;
    for (const tag of ['a', 'b&c=ä', 'a', 'b&c=ä ']) {
      core.createSession(ACCOUNT.id, { tag });
      core.createParticipant(ACCOUNT.id, { tag });
    }
    for (const path of ['/sessions', '/participants']) {
      const tags = async (tag: string) =>
        (await wholeListing(`${path}?limit=1&tag=${encodeURIComponent(tag)}`)).flat().map((item) => item.tag);
      expect(await tags('a')).toEqual(['a', 'a']);
      expect(await tags('b&c=ä')).toEqual(['b&c=ä']);
      expect(await tags('none')).toEqual([]);
    }
  });

  it('also end a page at 1 MB, and leave out nobody', async () => {
    const { core } = gateway;
    const session = core.createSession(ACCOUNT.id, {}).id;
    const made = Array.from({ length: 40 }, (_, n) => {
      const { id } = core.createParticipant(ACCOUNT.id, {}).participant;
      const streamAliases = [`${n}`, ...Array.from({ length: 200 }, (_, k) => `${k}`.padEnd(250, 'ä'))];
      const subscriptions = { participants: [{ participantId: 'x', streamAliases }] };
      if (n < 20) core.addToSession(ACCOUNT.id, session, id, subscriptions);
      return id;
    });
    const sizes: number[] = [];
    const listed: string[] = [];
    for (let cursor: string | undefined = ''; cursor !== undefined;) {
      const text = await (await gateway.ask(`/participants?limit=1000${cursor}`)).text();
      sizes.push(Buffer.byteLength(text));
      const { items, next } = JSON.parse(text) as Listing;
      listed.push(...items.map(({ id }) => id));
      cursor = next && `&cursor=${next}`;
    }
    expect(listed).toEqual(made);
    expect(sizes.length).toBeGreaterThan(1);
    expect(Math.max(...sizes)).toBeLessThan(1_050_000);
    expect(Math.max(...sizes)).toBeGreaterThan(900_000);
    const { participants } = (await get(`/sessions/${session}`)) as { participants: Listing['items'] };
    expect(participants.map(({ id }) => id)).toEqual(made.slice(0, 20));
    expect(await get(`/sessions/${session}/participants`)).toEqual(participants);
  });

  it('of one tag among thousands are complete', async () => {
    const { core } = gateway;
    const tagged = Array.from({ length: 9_000 }, (_, n) =>
      core.createSession(ACCOUNT.id, { tag: n % 3_000 === 1 ? 'rare' : 'usual' }),
    ).filter(({ tag }) => tag === 'rare');
    const pages = await wholeListing('/sessions?limit=2&tag=rare');
    expect(pages.map((page) => page.length).slice(0, 2)).toEqual([2, 1]);
    expect(pages.flat().map(({ id }) => id)).toEqual(tagged.map(({ id }) => id));
  });

  it('are made in slices, accounts in turn, and limited for each account', async () => {
    const slices = new Slices();
    const order: string[] = [];
    const job = (account: string, count: number): Promise<unknown> =>
      slices.work(account, async (turn) => {
        for (let slice = 0; slice < count; slice += 1) {
          await turn();
          order.push(account);
        }
      });
    let turns = 0;
    const busy = [job('a', 3), job('a', 3), job('b', 2)];
    const count = (): void => {
      turns += 1;
      if (order.length < 8) setImmediate(count);
    };
    setImmediate(count);
    await Promise.all(busy);
    expect(order.slice(0, 4)).toEqual(['a', 'b', 'a', 'b']);
    expect(turns).toBeGreaterThanOrEqual(7);
    const waiting = Array.from({ length: 40 }, () => job('a', 1).catch((error: unknown) => error));
    const refused = (await Promise.all(waiting)).filter((answer) => answer !== undefined);
    expect(refused).toHaveLength(8);
    expect(refused[0]).toMatchObject({ code: 'PATCHBAY_TOO_MANY_REQUESTS' });
  });

  it('that nobody reads are limited for each account', async () => {
    const { core } = gateway;
    const session = core.createSession(ACCOUNT.id, {}).id;
    for (let n = 0; n < 20; n += 1) {
      const { id } = core.createParticipant(ACCOUNT.id, {}).participant;
      const streamAliases = Array.from({ length: 200 }, (_, k) => `${k}`.padEnd(250));
      core.addToSession(ACCOUNT.id, session, id, { participants: [{ participantId: 'x', streamAliases }] });
    }
    const { port } = new URL(gateway.url);
    const sockets: Socket[] = [];
    let refused = false;
    while (!refused) {
      const socket = connect(Number(port), '127.0.0.1').pause();
      sockets.push(socket);
      const path = `/v1/accounts/${ACCOUNT.id}/participants?limit=1000`;
      const request = `GET ${path} HTTP/1.1\r\nHost: x\r\nAuthorization: ${basic(ACCOUNT)}\r\n\r\n`;
      socket.write(request.repeat(4));
      await new Promise((done) => setTimeout(done, 20));
      refused = (await gateway.ask('/participants?limit=1')).status === 429;
      expect(sockets.length).toBeLessThan(100);
    }
    const others = `${gateway.url}/v1/accounts/${OTHER_ACCOUNT.id}/participants`;
    expect((await fetch(others, { headers: { authorization: basic(OTHER_ACCOUNT) } })).status).toBe(200);
    for (const socket of sockets) socket.destroy();
    await until('room again', async () => (await gateway.ask('/participants?limit=1')).status === 200, {
      withinMs: 5_000,
    });
  });

  it('are empty when there is nothing', async () => {
    expect(await get('/sessions')).toEqual({ items: [] });
    expect(await get('/participants')).toEqual({ items: [] });
  });
});

describe('details', () => {
  const join = (sessionId: string, tag: string) => {
    const { core } = gateway;
    const { id } = core.createParticipant(ACCOUNT.id, {
      tag,
      publishPermissions: ['audio', 'video'],
    }).participant;
    core.addToSession(ACCOUNT.id, sessionId, id, { sessionId });
    return id;
  };

  it('show who is connected, by what, and what each sends and receives', async () => {
    const { core } = gateway;
    const session = core.createSession(ACCOUNT.id, { tag: 'room' });
    const [browserId, phoneId, absentId] = [
      join(session.id, 'b'),
      join(session.id, 'p'),
      join(session.id, 'a'),
    ];
    const browser = new TestDevice(core, browserId, { externalId: 'page-1' });
    const phone = new TestDevice(
      core,
      phoneId,
      { kind: 'phone', caller: '+15555550100', callerName: 'Ann', called: 'room' },
      { hold: true },
    );
    const camera = { streamId: 's1', alias: 'camera', mediaTypes: ['AUDIO', 'VIDEO'] };
    const voice = { streamId: 's2', mediaTypes: ['AUDIO'] };
    browser.connection.publish([{ ...camera, mediaTypes: ['audio', 'video'] }]);
    phone.connection.publish([{ ...voice, mediaTypes: ['audio'] }]);
    phone.connection.hold(true);

    const detail = (await get(`/sessions/${session.id}`)) as { participants: unknown };
    expect(detail).toMatchObject({
      id: session.id,
      tag: 'room',
      createdAt: expect.stringMatching(/Z$/) as string,
    });
    expect(detail.participants).toMatchObject([
      {
        id: browserId,
        device: {
          kind: 'browser',
          externalId: 'page-1',
          direction: 'inbound',
          streams: [camera],
          delivery: [{ ...voice, participantId: phoneId }],
        },
      },
      {
        id: phoneId,
        device: {
          kind: 'phone',
          caller: '+15555550100',
          callerName: 'Ann',
          called: 'room',
          held: true,
          streams: [voice],
          delivery: [{ ...camera, participantId: browserId }],
        },
      },
      { id: absentId },
    ]);
    expect(await get(`/sessions/${session.id}/participants`)).toEqual(detail.participants);
    const [first] = detail.participants as [{ device: object }];
    expect(first.device).not.toHaveProperty('held');
    expect(await get(`/participants/${browserId}`)).toEqual(first);
    expect(await get(`/participants/${browserId}/device`)).toEqual(first.device);
    expect(await get(`/participants/${absentId}`)).not.toHaveProperty('device');

    const listed = (await get('/participants')) as { items: { device?: object }[] };
    expect(listed.items.map(({ device }) => device)).toMatchObject([
      { kind: 'browser' },
      { kind: 'phone' },
      undefined,
    ]);
    expect(listed.items[0]?.device).not.toHaveProperty('delivery');
  });

  it('show which events a participant asked for, and leave them out when it asked for none', async () => {
    const { core } = gateway;
    const ids = [['hold'] as const, []].map(
      (events) => core.createParticipant(ACCOUNT.id, { events }).participant.id,
    );
    expect(await get(`/participants/${ids[0]}`)).toMatchObject({ events: ['hold'] });
    expect(await get(`/participants/${ids[1]}`)).not.toHaveProperty('events');
    const { items } = (await get('/participants')) as { items: { events?: string[] }[] };
    expect(items.map(({ events }) => events)).toEqual([['hold'], undefined]);
  });

  it('change with what they show', async () => {
    const { core } = gateway;
    const session = core.createSession(ACCOUNT.id, {});
    const [talker, listener] = [join(session.id, 't'), join(session.id, 'l')];
    const talking = new TestDevice(core, talker);
    const listening = new TestDevice(core, listener);
    talking.connection.publish([{ streamId: 's1', mediaTypes: ['audio'] }]);
    const delivery = async () =>
      ((await get(`/participants/${listener}/device`)) as { delivery: unknown[] }).delivery;
    expect(await delivery()).toHaveLength(1);
    await gateway.ask(`/sessions/${session.id}/participants/${listener}/subscriptions`, { method: 'PUT' });
    expect(await delivery()).toEqual([]);
    expect(listening.delivery).toEqual([]);
  });
});

describe('disconnecting a device', () => {
  it('leaves the participant in its session, and lets it connect again', async () => {
    const { core } = gateway;
    const session = core.createSession(ACCOUNT.id, {});
    const { id } = core.createParticipant(ACCOUNT.id, {}).participant;
    core.addToSession(ACCOUNT.id, session.id, id, { sessionId: session.id });
    const device = new TestDevice(core, id);

    const disconnected = await gateway.ask(`/participants/${id}/device`, { method: 'DELETE' });
    expect(disconnected.status).toBe(204);
    expect(await disconnected.text()).toBe('');
    expect(device.closed).toBe('disconnected');
    expect(await get(`/participants/${id}`)).toMatchObject({
      sessions: [session.id],
      subscriptions: { sessionId: session.id },
    });
    for (const method of ['GET', 'DELETE']) {
      const response = await gateway.ask(`/participants/${id}/device`, { method });
      expect(response.status).toBe(404);
      expect(await response.json()).toMatchObject({ reason: 'PATCHBAY_DEVICE_NOT_FOUND' });
    }
    expect(new TestDevice(core, id).closed).toBeUndefined();
  });

  it('happens when its participant or its session is deleted', async () => {
    const { core } = gateway;
    const session = core.createSession(ACCOUNT.id, {});
    const devices = ['a', 'b'].map((tag) => {
      const { id } = core.createParticipant(ACCOUNT.id, { tag }).participant;
      core.addToSession(ACCOUNT.id, session.id, id);
      return { id, device: new TestDevice(core, id) };
    }) as [{ id: string; device: TestDevice }, { id: string; device: TestDevice }];
    await gateway.ask(`/participants/${devices[0].id}`, { method: 'DELETE' });
    expect(devices[0].device.closed).toBe('participant-deleted');
    expect(devices[1].device.closed).toBeUndefined();
    await gateway.ask(`/sessions/${session.id}`, { method: 'DELETE' });
    expect(devices[1].device.closed).toBe('session-deleted');
  });
});
