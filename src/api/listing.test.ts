import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { TestDevice } from './testing/device.js';
import { ACCOUNT, OTHER_ACCOUNT, startApi, type TestGateway } from './testing/gateway.js';

let gateway: TestGateway;
beforeAll(async () => {
  gateway = await startApi();
});
afterEach(() => {
  const { core } = gateway;
  for (const { id } of [ACCOUNT, OTHER_ACCOUNT]) {
    for (const session of core.sessions(id, {}).items) core.deleteSession(id, session.id);
    for (const participant of core.participants(id, {}).items) core.deleteParticipant(id, participant.id);
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
      publishPermissions: ['AUDIO', 'VIDEO'],
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
    const phone = new TestDevice(core, phoneId, {
      kind: 'phone',
      caller: '+15555550100',
      callerName: 'Ann',
      called: 'room',
    });
    const camera = { streamId: 's1', alias: 'camera', mediaTypes: ['AUDIO', 'VIDEO'] as const };
    const voice = { streamId: 's2', mediaTypes: ['AUDIO'] as const };
    browser.connection.publish([camera]);
    phone.connection.publish([voice]);

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
          streams: [voice],
          delivery: [{ ...camera, participantId: browserId }],
        },
      },
      { id: absentId },
    ]);
    expect(await get(`/sessions/${session.id}/participants`)).toEqual(detail.participants);
    const [first] = detail.participants as [{ device: object }];
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

  it('follow what happens', async () => {
    const { core } = gateway;
    const session = core.createSession(ACCOUNT.id, {});
    const [talker, listener] = [join(session.id, 't'), join(session.id, 'l')];
    const talking = new TestDevice(core, talker);
    const listening = new TestDevice(core, listener);
    talking.connection.publish([{ streamId: 's1', mediaTypes: ['AUDIO'] }]);
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
