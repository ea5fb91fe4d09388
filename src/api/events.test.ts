import { type IncomingMessage, request } from 'node:http';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { FakeDevice } from '../core/testing/index.js';
import type { AccountEvents } from './routes/index.js';
import { ACCOUNT, basic, OTHER_ACCOUNT, startApi, type TestGateway } from './testing/gateway.js';

interface Told {
  readonly id: string;
  readonly type: string;
  readonly data: Record<string, unknown>;
}

let gateway: TestGateway;
const readers: EventReader[] = [];
beforeEach(async () => {
  gateway = await startApi();
});
afterEach(async () => {
  for (const reader of readers.splice(0)) reader.end();
  await gateway.stop();
});

/** Reads the stream as `EventSource` does. */
class EventReader {
  readonly events: Told[] = [];
  readonly #abort = new AbortController();
  response: Response | undefined;
  ended = false;

  static async open(query = '', lastEventId?: string): Promise<EventReader> {
    const reader = new EventReader();
    readers.push(reader);
    const headers = { ...(lastEventId !== undefined && { 'last-event-id': lastEventId }) };
    reader.response = await gateway.ask(`/events${query}`, { headers, signal: reader.#abort.signal });
    void reader.#read().catch(() => undefined);
    if (reader.response.status === 200)
      await vi.waitFor(() => expect(reader.events.length).toBeGreaterThan(0));
    return reader;
  }

  get types(): string[] {
    return this.events.map(({ type }) => type);
  }

  of(type: string): Record<string, unknown>[] {
    return this.events.filter((event) => event.type === type).map(({ data }) => data);
  }

  end(): void {
    this.#abort.abort();
  }

  async #read(): Promise<void> {
    let text = '';
    const decoder = new TextDecoder();
    for await (const chunk of this.response!.body as unknown as AsyncIterable<Uint8Array>) {
      text += decoder.decode(chunk, { stream: true });
      const blocks = text.split('\n\n');
      text = blocks.pop()!;
      for (const block of blocks) this.#take(block);
    }
    this.ended = true;
  }

  #take(block: string): void {
    const fields = new Map(block.split('\n').map((line) => line.split(/: ?(.*)/s) as [string, string]));
    const type = fields.get('event');
    if (type === undefined) return;
    this.events.push({
      id: fields.get('id')!,
      type,
      data: JSON.parse(fields.get('data')!) as Record<string, unknown>,
    });
  }
}

/** A reader that reads nothing more once the system's buffers are full. */
async function pausedReader(): Promise<IncomingMessage> {
  const { port } = gateway.server.address() as { port: number };
  const path = `/v1/accounts/${ACCOUNT.id}/events`;
  const asked = request({ port, path, headers: { authorization: basic(ACCOUNT) } }).end();
  asked.on('error', () => undefined);
  return new Promise((resolve) =>
    asked.on('response', (response) => {
      response.pause();
      response.on('error', () => undefined);
      resolve(response);
    }),
  );
}

describe('the events of an account', () => {
  it('tell what applications and devices do, as it happens', async () => {
    const { core } = gateway;
    const reader = await EventReader.open();
    expect(reader.response!.headers.get('content-type')).toContain('text/event-stream');
    const session = core.createSession(ACCOUNT.id, { tag: 'room' });
    const [ann, bob] = ['ann', 'bob'].map((tag) => {
      const { participant } = core.createParticipant(ACCOUNT.id, { tag, publishPermissions: ['audio'] });
      core.addToSession(ACCOUNT.id, session.id, participant.id, { sessionId: session.id });
      return participant.id;
    }) as [string, string];
    const connection = core.connect(ann, new FakeDevice('d1', 'phone'), { replace: false });
    core.connect(bob, new FakeDevice('d2'), { replace: false });
    connection.publish([{ streamId: 's1', alias: 'voice', mediaTypes: ['audio'] }]);
    connection.speaking('s1', true, -30);
    connection.dtmf('5', 100);
    connection.measured({ received: { packets: 1 }, sent: { packets: 2 } });
    core.setSubscriptions(ACCOUNT.id, session.id, bob, {});
    connection.end('left');
    core.deleteSession(ACCOUNT.id, session.id);
    core.deleteParticipant(ACCOUNT.id, ann);
    await vi.waitFor(() => expect(reader.types).toContain('participantDeleted'));
    expect(reader.types.filter((type) => type !== 'participantUpdated')).toEqual([
      'reset',
      'sessionCreated',
      'participantCreated',
      'participantCreated',
      'deviceConnected',
      'deviceConnected',
      'streamsChanged',
      'deliveryChanged',
      'speaking',
      'dtmf',
      'quality',
      'deliveryChanged',
      'deviceLeft',
      'deviceLeft',
      'sessionDeleted',
      'participantDeleted',
    ]);
    const about = {
      participantId: ann,
      sessionId: session.id,
      tag: 'ann',
      deviceId: 'external-d1',
      kind: 'phone',
    };
    expect(reader.of('streamsChanged')).toMatchObject([
      {
        at: expect.any(String) as string,
        ...about,
        streams: [{ streamId: 's1', alias: 'voice', mediaTypes: ['AUDIO'] }],
      },
    ]);
    expect(reader.of('deliveryChanged')).toMatchObject([
      { participantId: bob, delivery: [{ streamId: 's1', participantId: ann, mediaTypes: ['AUDIO'] }] },
      { participantId: bob, delivery: [] },
    ]);
    expect(reader.of('speaking')).toMatchObject([{ ...about, streamId: 's1', speaking: true, levelDb: -30 }]);
    expect(reader.of('quality')).toMatchObject([{ received: { packets: 1 }, sent: { packets: 2 } }]);
    expect(reader.of('participantUpdated').at(-1)).toMatchObject({ tag: 'bob', subscriptions: {} });
    expect(reader.of('deviceLeft')[0]).toMatchObject({ ...about, reason: 'left' });
  });

  it('are those of one session, or with one tag, if the reader wants that', async () => {
    const { core } = gateway;
    const session = core.createSession(ACCOUNT.id, {});
    const ofSession = await EventReader.open(`?sessionId=${session.id}`);
    const tagged = await EventReader.open('?tag=vip');
    const all = await EventReader.open();
    const { participant } = core.createParticipant(ACCOUNT.id, { tag: 'vip' });
    core.addToSession(ACCOUNT.id, session.id, participant.id);
    core.createSession(ACCOUNT.id, { tag: 'end' });
    await vi.waitFor(() => expect(all.types).toContain('sessionCreated'));
    expect(ofSession.types).toEqual(['reset', 'participantUpdated']);
    expect(tagged.types).toEqual(['reset', 'participantCreated', 'participantUpdated']);
  });

  it('have the levels of a session for who watches it', async () => {
    const { core } = gateway;
    const session = core.createSession(ACCOUNT.id, {});
    const { participant } = core.createParticipant(ACCOUNT.id, { publishPermissions: ['audio'] });
    core.addToSession(ACCOUNT.id, session.id, participant.id, {});
    const device = new FakeDevice('d1', 'phone');
    const connection = core.connect(participant.id, device, { replace: false });
    connection.publish([{ streamId: 's1', mediaTypes: ['audio'] }]);
    const all = await EventReader.open();
    const watching = await EventReader.open(`?sessionId=${session.id}`);
    await vi.waitFor(() => expect(device.watched).toEqual([true]));
    connection.levels([{ streamId: 's1', levelDb: -20.3 }]);
    await vi.waitFor(() =>
      expect(watching.of('levels')).toMatchObject([
        { sessionId: session.id, levels: [{ streamId: 's1', participantId: participant.id, levelDb: -20 }] },
      ]),
    );
    expect(all.types).not.toContain('levels');
    watching.end();
    await vi.waitFor(() => expect(device.watched).toEqual([true, false]));
  });

  it('of a session that does not exist, or of another account, are none', async () => {
    const other = gateway.core.createSession(OTHER_ACCOUNT.id, {});
    for (const id of ['unknown', other.id])
      expect((await EventReader.open(`?sessionId=${id}`)).types).toEqual(['reset']);
  });

  it('go on after the last that a reader had, when it comes back', async () => {
    const { core } = gateway;
    const reader = await EventReader.open();
    core.createSession(ACCOUNT.id, { tag: 'one' });
    await vi.waitFor(() => expect(reader.types).toHaveLength(2));
    reader.end();
    core.createSession(ACCOUNT.id, { tag: 'two' });
    const back = await EventReader.open('', reader.events.at(-1)!.id);
    expect(back.of('sessionCreated')).toMatchObject([{ tag: 'two' }]);
    const unknown = await EventReader.open('', 'somebody-else');
    expect(unknown.types).toEqual(['reset']);
  });

  it('are told to the account alone', async () => {
    const reader = await EventReader.open();
    gateway.core.createSession(OTHER_ACCOUNT.id, { tag: 'secret' });
    gateway.core.createSession(ACCOUNT.id, { tag: 'own' });
    await vi.waitFor(() => expect(reader.of('sessionCreated')).toMatchObject([{ tag: 'own' }]));
    const answer = await fetch(`${gateway.url}/v1/accounts/${ACCOUNT.id}/events`);
    expect(answer.status).toBe(401);
  });

  it('have at most 32 readers in an account', async () => {
    for (let i = 0; i < 32; i += 1) await EventReader.open();
    expect((await EventReader.open()).response!.status).toBe(429);
    readers.shift()!.end();
    await vi.waitFor(async () => expect((await EventReader.open()).response!.status).toBe(200));
  });

  it('end with the gateway, which does not wait for readers', async () => {
    const reader = await EventReader.open();
    const before = performance.now();
    await gateway.stop();
    await vi.waitFor(() => expect(reader.ended).toBe(true));
    // Requests under way may take five seconds: a reader is none.
    expect(performance.now() - before).toBeLessThan(4_000);
    gateway = await startApi();
  });

  it('that are out of date soon are not sent to a reader that has not read the last ones', async () => {
    type Reader = Parameters<AccountEvents['read']>[1];
    let reader: Reader | undefined;
    const events: AccountEvents = {
      readersOf: () => 0,
      read: (_account, one) => {
        reader = one;
        return () => undefined;
      },
    };
    await gateway.stop();
    gateway = await startApi({ events });
    const slow = await pausedReader();
    const levels = { id: '1', type: 'levels', text: '{}' };
    expect(reader!.offer(levels)).toBe(true);
    reader!.send({ id: '2', type: 'long', text: 'x'.repeat(16 * 1024 * 1024) });
    expect(reader!.offer(levels)).toBe(false);
    slow.resume();
    await vi.waitFor(() => expect(reader!.offer(levels)).toBe(true), { timeout: 20_000 });
  });

  it('cut off a reader that does not read, and nothing of it stays', async () => {
    await pausedReader();
    const tag = 'x'.repeat(50);
    expect(gateway.eventReaders()).toBe(1);
    await vi.waitFor(
      () => {
        for (let i = 0; i < 500; i += 1)
          gateway.core.deleteSession(ACCOUNT.id, gateway.core.createSession(ACCOUNT.id, { tag }).id);
        expect(gateway.eventReaders()).toBe(0);
      },
      { timeout: 20_000, interval: 5 },
    );
  });
});
