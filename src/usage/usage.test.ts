import { cp, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { createCore, type Core } from '../core/index.js';
import { ACCOUNT, connectTalking, FakeDevice, TOKEN_SECRET } from '../core/testing/index.js';
import { openStore, type Store } from '../store/index.js';
import { readHere } from '../store/testing/read-here.js';
import { FakeClock, silentLog } from '../shared/testing/index.js';
import { createUsage, type Usage } from './index.js';

const DAY_MS = 86_400_000;

let dataDir: string;
let gateway: { store: Store; core: Core; usage: Usage; clock: FakeClock };

beforeEach(async () => {
  dataDir = await mkdtemp(join(tmpdir(), 'patchbay-usage-'));
  gateway = await start(new FakeClock());
});

afterEach(async () => {
  await gateway.usage.stop();
  await gateway.store.close();
  await rm(dataDir, { recursive: true });
});

async function start(clock: FakeClock): Promise<typeof gateway> {
  const store = await openStore({ dataDir, log: silentLog, usageReader: readHere });
  const core = createCore({ tokenSecret: TOKEN_SECRET, store: store.core, clock, log: silentLog });
  const usage = createUsage({ core, store: store.usage, clock, log: silentLog, retentionMs: 2 * DAY_MS });
  return { store, core, usage, clock };
}

/** Starts again with what is on disk, as after `kill -9`. */
async function crashAndStart(carriedOver: () => void = () => undefined): Promise<void> {
  await gateway.store.close();
  gateway = await start(gateway.clock);
  carriedOver();
  gateway.usage.closeCrashed();
}

function sessionWith(tag: string | undefined, ...members: string[]): string {
  const { id } = gateway.core.createSession(ACCOUNT, tag === undefined ? {} : { tag });
  for (const member of members) gateway.core.addToSession(ACCOUNT, id, member);
  return id;
}

function participant(tag?: string): string {
  return gateway.core.createParticipant(ACCOUNT, tag === undefined ? {} : { tag }).participant.id;
}

function connection(participantId: string, seconds: number): void {
  const { connection: made } = connectTalking(gateway.core, participantId);
  gateway.clock.advance(seconds * 1_000);
  made.end('left');
}

describe('a usage record', () => {
  it('tells all about a call, while it goes on and after its end', async () => {
    const { core, usage, clock } = gateway;
    const ann = participant('caller');
    const session = sessionWith('meeting', ann);
    const phone = new FakeDevice('call', 'phone');
    const info = { ...phone.info, caller: '+15555550100', callerName: 'Ann', called: 'room' };
    const call = core.connect(ann, Object.assign(phone, { info }), { replace: false });
    const startedAt = clock.now();
    clock.advance(1_500);
    const during = await usage.query(ACCOUNT, {});
    expect(during.items).toEqual([
      {
        id: expect.any(String) as string,
        connectionId: 'call',
        accountId: ACCOUNT,
        sessionId: session,
        sessionTag: 'meeting',
        participantId: ann,
        participantTag: 'caller',
        kind: 'phone',
        direction: 'inbound',
        deviceId: 'external-call',
        caller: '+15555550100',
        callerName: 'Ann',
        called: 'room',
        startedAt,
        seconds: 1.5,
      },
    ]);
    call.end('left');
    clock.advance(60_000);
    const [record] = (await usage.query(ACCOUNT, {})).items;
    expect(record).toMatchObject({ endedAt: startedAt + 1_500, endReason: 'left', seconds: 1.5 });
  });

  it('has the codecs and the encryption that its device had last, also after a crash', async () => {
    const [secure, plain] = ['AES_CM_128_HMAC_SHA1_80', 'none'].map((encryption) => ({
      codecs: ['PCMU'],
      encryption,
    }));
    const records = async () => (await gateway.usage.query(ACCOUNT, {})).items;
    const device = new FakeDevice('call', 'phone');
    device.formats = { received: plain, sent: plain };
    const call = gateway.core.connect(participant(), device, { replace: false });
    expect((await records())[0]).toMatchObject({ received: plain, sent: plain });
    gateway.clock.advance(3_000);
    const opus = { codecs: ['opus', 'VP8'], encryption: 'DTLS-SRTP' };
    device.formats = { received: secure, sent: opus };
    call.formatsChanged();
    device.formats = {};
    call.formatsChanged();
    await gateway.core.flush();
    await crashAndStart();
    expect(await records()).toMatchObject([
      { received: secure, sent: opus, endReason: 'crashed', seconds: 3 },
    ]);
  });

  it('belongs from its start to the first session that the participant comes into', async () => {
    const ann = participant();
    connectTalking(gateway.core, ann);
    gateway.clock.advance(1_000);
    const session = sessionWith(undefined, ann);
    gateway.clock.advance(1_000);
    const { items } = await gateway.usage.query(ACCOUNT, {});
    expect(items).toHaveLength(1);
    expect(items[0]).toMatchObject({ sessionId: session, seconds: 2 });
  });

  it('that a crash ends has the time until its first session at least', async () => {
    const ann = participant();
    gateway.clock.advance(5_000);
    connectTalking(gateway.core, ann);
    gateway.clock.advance(1_000);
    const session = sessionWith(undefined, ann);
    gateway.clock.advance(1_000);
    await crashAndStart();
    const { items } = await gateway.usage.query(ACCOUNT, {});
    expect(items).toHaveLength(1);
    expect(items[0]).toMatchObject({ sessionId: session, endReason: 'crashed', seconds: 1 });
  });

  it('goes on when the device is carried over to the next gateway, with the time in between', async () => {
    const ann = participant();
    const session = sessionWith('meeting', ann);
    const { device } = connectTalking(gateway.core, ann);
    connectTalking(gateway.core, participant('lost'));
    const since = gateway.clock.now();
    gateway.clock.advance(60_000);
    await crashAndStart(() => {
      gateway.clock.advance(3_000);
      gateway.core.connect(ann, device, { replace: true, carriedSince: since });
    });
    gateway.clock.advance(2_000);
    gateway.core.disconnectDevice(ACCOUNT, ann);
    const { items } = await gateway.usage.query(ACCOUNT, {});
    expect(items).toHaveLength(2);
    expect(items.find(({ participantTag }) => participantTag === 'lost')).toMatchObject({
      endReason: 'crashed',
    });
    expect(items.find(({ participantId }) => participantId === ann)).toMatchObject({
      sessionId: session,
      startedAt: since,
      seconds: 65,
      endReason: 'disconnected',
    });
  });

  it('is followed by another when the participant goes on in another session', async () => {
    const ann = participant();
    const first = sessionWith('first', ann);
    const { connection: call } = connectTalking(gateway.core, ann);
    gateway.clock.advance(1_000);
    gateway.core.removeFromSession(ACCOUNT, first, ann);
    gateway.clock.advance(2_000);
    sessionWith('second', ann);
    gateway.clock.advance(4_000);
    call.end('left');
    const { items, totals } = await gateway.usage.query(ACCOUNT, {});
    expect(items.map(({ sessionTag, seconds, endReason }) => [sessionTag, seconds, endReason])).toEqual([
      ['first', 1, 'moved'],
      ['second', 6, 'left'],
    ]);
    expect(new Set(items.map(({ connectionId }) => connectionId)).size).toBe(1);
    expect(totals).toEqual([
      { tag: 'second', connections: 1, seconds: 6 },
      { tag: 'first', connections: 1, seconds: 1 },
    ]);
  });

  it('is closed at the last heartbeat when the gateway died', async () => {
    const ann = participant();
    const startedAt = gateway.clock.now();
    connectTalking(gateway.core, ann);
    gateway.clock.advance(47_000);
    await gateway.store.flush();
    await crashAndStart();
    const [record] = (await gateway.usage.query(ACCOUNT, {})).items;
    expect(record).toMatchObject({ endedAt: startedAt + 45_000, endReason: 'crashed', seconds: 45 });
    await crashAndStart();
    expect((await gateway.usage.query(ACCOUNT, {})).items).toEqual([record]);
  });

  it.each([-3_600_000, 3_600_000])('is as long as the call when the clock is set by %d ms', async (set) => {
    const { core, clock, usage } = gateway;
    const { connection: call } = connectTalking(core, participant());
    const startedAt = clock.now();
    clock.advance(4_000);
    clock.set(set);
    clock.advance(3_000);
    expect((await usage.query(ACCOUNT, {})).items).toMatchObject([{ seconds: 7 }]);
    call.end('left');
    const { items, totals } = await usage.query(ACCOUNT, {});
    expect(items).toMatchObject([{ startedAt, endedAt: startedAt + 7_000, seconds: 7 }]);
    expect(totals).toEqual([{ connections: 1, seconds: 7 }]);
  });

  it('does not end before it began when the gateway died after the clock was set back', async () => {
    const startedAt = gateway.clock.now();
    connectTalking(gateway.core, participant());
    gateway.clock.set(-3_600_000);
    gateway.clock.advance(20_000);
    await gateway.store.flush();
    await crashAndStart();
    const [record] = (await gateway.usage.query(ACCOUNT, {})).items;
    expect(record!.endedAt).toBeGreaterThanOrEqual(startedAt);
  });

  it('is on one page of a report, also when the clock was set back between the records', async () => {
    const { clock, usage } = gateway;
    const ids = new Set<string>();
    for (let n = 0; n < 6; n += 1) {
      connection(participant(), 1);
      if (n % 2 === 1) clock.set(-10_000);
    }
    for (let cursor: string | undefined = ''; cursor !== undefined;) {
      const page = await usage.query(ACCOUNT, { limit: 1, ...(cursor && { cursor }) });
      for (const { id } of page.items) ids.add(id);
      cursor = page.next;
    }
    expect(ids.size).toBe(6);
  });

  it('is kept for the time of retention after its end', async () => {
    connection(participant(), 1);
    gateway.clock.advance(DAY_MS);
    expect((await gateway.usage.query(ACCOUNT, {})).items).toHaveLength(1);
    gateway.clock.advance(2 * DAY_MS);
    expect((await gateway.usage.query(ACCOUNT, {})).items).toHaveLength(0);
  });
});

describe('a usage report', () => {
  it('is of one account, of a time, and of a tag', async () => {
    const { clock, usage } = gateway;
    const [ann, bob] = [participant('vip'), participant()];
    sessionWith('vip', bob);
    const from = clock.now();
    connection(ann, 1);
    connection(bob, 2);
    const to = clock.now();
    connection(participant(), 4);
    const secondsOf = async (filter: Parameters<Usage['query']>[1], account = ACCOUNT) =>
      (await usage.query(account, filter)).items.map(({ seconds }) => seconds);
    expect(await secondsOf({})).toEqual([1, 2, 4]);
    expect(await secondsOf({}, 'other')).toEqual([]);
    expect(await secondsOf({ from, to })).toEqual([1, 2]);
    expect(await secondsOf({ from: from + 1_000 })).toEqual([2, 4]);
    expect(await secondsOf({ tag: 'vip' })).toEqual([1, 2]);
  });

  it('comes in pages, with totals over all of them', async () => {
    const ann = participant('ann');
    for (let call = 1; call <= 5; call += 1) connection(ann, call);
    connection(participant(), 100);
    const pages: number[][] = [];
    let cursor: string | undefined;
    do {
      const page = await gateway.usage.query(ACCOUNT, { limit: 2, ...(cursor && { cursor }) });
      pages.push(page.items.map(({ seconds }) => seconds));
      expect(page.totals).toEqual([
        { connections: 1, seconds: 100 },
        { tag: 'ann', connections: 5, seconds: 15 },
      ]);
      cursor = page.next;
    } while (cursor);
    expect(pages).toEqual([
      [1, 2],
      [3, 4],
      [5, 100],
    ]);
  });

  it('has its totals computed once, and not at all if they are not wanted', async () => {
    for (let call = 1; call <= 5; call += 1) connection(participant('ann'), call);
    const find = vi.spyOn(gateway.store.usage, 'find');
    const first = await gateway.usage.query(ACCOUNT, { limit: 2 });
    const second = await gateway.usage.query(ACCOUNT, { limit: 2, cursor: first.next! });
    await gateway.usage.query(ACCOUNT, { limit: 2, totals: false });
    expect(second.totals).toEqual(first.totals);
    expect(find.mock.calls.map(([, { totals }]) => totals)).toEqual([true, false, false]);
    // For another filter, or long after, they are computed again.
    await gateway.usage.query(ACCOUNT, { limit: 2, cursor: first.next!, tag: 'ann' });
    gateway.clock.advance(3_600_000);
    await gateway.usage.query(ACCOUNT, { limit: 2, cursor: first.next! });
    expect(find.mock.calls.slice(3).map(([, { totals }]) => totals)).toEqual([true, true]);
  });

  it('refuses an invalid limit and an invalid cursor', async () => {
    for (const filter of [{ limit: 0 }, { limit: 1_001 }, { cursor: "' OR 1=1" }]) {
      await expect(gateway.usage.query(ACCOUNT, filter)).rejects.toMatchObject({
        code: 'PATCHBAY_BAD_REQUEST',
      });
    }
  });
});

describe('the id of a webhook', () => {
  /** What waits for an application that is not there, by event. */
  const waiting = (): string[] =>
    gateway.store.usage.webhooks().map(({ eventId, body }) => `${body.event} ${eventId ?? ''}`);
  const ann = () =>
    gateway.core.createParticipant(ACCOUNT, { callbackUrl: 'http://127.0.0.1:9/', events: ['hold'] })
      .participant.id;

  it('is the same in every gateway that goes on from one copy of the data', async () => {
    connectTalking(gateway.core, ann());
    await gateway.core.flush();
    await gateway.store.close();
    const copy = `${dataDir}-copy`;
    await cp(dataDir, copy, { recursive: true });
    const told: string[][] = [];
    for (let i = 0; i < 2; i += 1) {
      gateway = await start(gateway.clock);
      gateway.usage.closeCrashed();
      await crashAndStart();
      told.push(waiting());
      await gateway.store.close();
      await rm(dataDir, { recursive: true });
      await cp(copy, dataDir, { recursive: true });
    }
    gateway = await start(gateway.clock);
    await rm(copy, { recursive: true });
    expect(told[0]).toHaveLength(3);
    expect(told[0]!.map((event) => event.split(' ')[0])).toEqual(['onConnect', 'onDisconnect', 'onLeave']);
    expect(told[1]).toEqual(told[0]);
  });

  it('is another for each event of one kind, and of another connection', async () => {
    const device = connectTalking(gateway.core, ann());
    for (const digit of ['1', '1', '2']) device.connection.dtmf(digit, 100);
    connectTalking(gateway.core, ann()).connection.end('left');
    await crashAndStart();
    // The second has what the first told of the end of the one that was up.
    await crashAndStart();
    const ids = waiting();
    expect(ids).toHaveLength(8);
    expect(new Set(ids).size).toBe(8);
  });
});

describe('the webhooks of a connection', () => {
  const bodies = (): object[] => gateway.store.usage.webhooks().map(({ body }) => body);

  it('say how its media are carried', async () => {
    const callbackUrl = 'http://127.0.0.1:9/';
    const { id } = gateway.core.createParticipant(ACCOUNT, { callbackUrl }).participant;
    const device = new FakeDevice('call', 'phone');
    const format = { codecs: ['G722'], encryption: 'none' };
    device.formats = { received: format };
    const call = gateway.core.connect(id, device, { replace: false });
    device.formats = { received: format, sent: format };
    call.formatsChanged();
    call.end('left');
    await crashAndStart();
    expect(bodies()).toMatchObject([
      { event: 'onConnect', received: format, sent: null },
      { event: 'onLeave', received: format, sent: format },
    ]);
  });

  it('say what kind of connection it is, and at its end why and how long it was', async () => {
    const callbackUrl = 'http://127.0.0.1:9/';
    const [ended, crashed] = [0, 1].map(
      () => gateway.core.createParticipant(ACCOUNT, { callbackUrl }).participant.id,
    );
    const sessionId = sessionWith('standup', ended!, crashed!);
    connection(ended!, 61);
    connectTalking(gateway.core, crashed!);
    gateway.clock.advance(20_000);
    await gateway.core.flush();
    await crashAndStart();
    await crashAndStart();
    const same = { sessionId, kind: 'browser', direction: 'inbound', received: null, sent: null };
    const of = (participantId: string): object[] =>
      bodies().filter((body) => (body as { participantId: string }).participantId === participantId);
    expect(of(ended!)).toMatchObject([
      { event: 'onConnect', ...same },
      { event: 'onLeave', ...same, reason: 'left', seconds: 61 },
    ]);
    expect(of(crashed!)).toMatchObject([
      { event: 'onConnect', ...same },
      { event: 'onDisconnect' },
      // Until the last heartbeat: they come every 15 s, this one at 75 s.
      { event: 'onLeave', ...same, reason: 'crashed', seconds: 14 },
    ]);
  });
});
