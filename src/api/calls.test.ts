import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Calls, OwnTraces, TraceRing } from '../calls/index.js';
import { FakeClock } from '../shared/testing/index.js';
import { TestDevice } from './testing/device.js';
import { ACCOUNT, basic, OTHER_ACCOUNT, startApi, type TestGateway } from './testing/gateway.js';
import { startStoredCore, type StoredCore } from './testing/stored-core.js';

interface Call {
  readonly connectionId: string;
  readonly deviceId: string;
  readonly state: string;
  readonly startedAt: string;
  readonly seconds: number;
  readonly [name: string]: unknown;
}

interface CallPage {
  readonly items: Call[];
  readonly next?: string;
}

const clock = new FakeClock();
const ring = new TraceRing({ bytes: 1_048_576, now: () => clock.now() });
const traces = new OwnTraces({ ring, tokenHeaders: [] });
let stored: StoredCore;
let gateway: TestGateway;
/** By the devices' own ids. */
const participants = new Map<string, string>();
const sessions: string[] = [];

beforeAll(async () => {
  stored = await startStoredCore(clock);
  const calls = new Calls({
    ...stored,
    traces: {
      of: (...call) => Promise.resolve(traces.of(...call)),
      delete: (...call) => Promise.resolve(traces.delete(...call)),
    },
  });
  gateway = await startApi({ ...stored, calls });
  const { core } = stored;
  for (const tag of ['sales', 'support']) sessions.push(core.createSession(ACCOUNT.id, { tag }).id);

  const moved = connect('moved@carrier', { caller: '+15555550100', callerName: '=cmd()' });
  core.addToSession(ACCOUNT.id, sessions[0]!, participants.get('moved@carrier')!);
  clock.advance(10_000);
  core.removeFromSession(ACCOUNT.id, sessions[0]!, participants.get('moved@carrier')!);
  core.addToSession(ACCOUNT.id, sessions[1]!, participants.get('moved@carrier')!);
  clock.advance(5_000);
  moved.connection.measured({ received: { packets: 500, lost: 5, mos: 4.1 }, sent: { packets: 490 } });
  clock.advance(5_000);
  moved.connection.measured({ received: { packets: 750, lost: 5, mos: 4.2 }, sent: { packets: 740 } });
  moved.connection.end('media-timeout');

  fail('refused@carrier', 488);
  clock.advance(1_000);
  connect('page', { kind: 'browser' }).connection.end('left');
  clock.advance(1_000);
  fail('busy@carrier', 486);
  connect('of the other', {}, OTHER_ACCOUNT.id).connection.end('left');
  clock.advance(1_000);
  connect('live@carrier', { caller: '+15555550199' });
  clock.advance(2_500);
});

afterAll(async () => {
  await gateway.stop();
  await stored.stop();
});

const path = { transport: 'udp', remote: { host: '192.0.2.9', port: 5060 } };

function invite(externalId: string): void {
  const token = `eyJhbGciOiJIUzI1NiJ9.${'b'.repeat(20)}.${'c'.repeat(20)}`;
  const head = `INVITE sip:room@host SIP/2.0\r\nCSeq: 1 INVITE\r\nCall-ID: ${externalId}\r\nX-Any: ${token}`;
  ring.message('in', Buffer.from(`${head}\r\n\r\n`), path);
}

function connect(externalId: string, info: object, account = ACCOUNT.id): TestDevice {
  const { id } = stored.core.createParticipant(account, { tag: 'caller' }).participant;
  participants.set(externalId, id);
  invite(externalId);
  const device = new TestDevice(stored.core, id, { kind: 'phone', externalId, ...info });
  traces.connected(device.info, account);
  return device;
}

function fail(externalId: string, status: number): void {
  const { id } = stored.core.createParticipant(ACCOUNT.id, { tag: 'failed' }).participant;
  participants.set(externalId, id);
  invite(externalId);
  const call = {
    id: `0199a3a0-0000-7000-8000-000000000${status}`,
    kind: 'phone',
    externalId,
    direction: 'inbound',
    status,
    reason: 'In words.',
    codecs: ['G729'],
  } as const;
  stored.core.callFailed(id, call);
  traces.callFailed(call, ACCOUNT.id);
}

async function read<T>(path: string): Promise<T> {
  const response = await gateway.ask(path);
  expect(response.status, path).toBe(200);
  return (await response.json()) as T;
}

const ALL = ['live@carrier', 'busy@carrier', 'page', 'refused@carrier', 'moved@carrier'];

const idsOf = async (query: string): Promise<string[]> =>
  (await read<CallPage>(`/calls${query}`)).items.map(({ deviceId }) => deviceId);

describe('the list of calls', () => {
  it('has those that are up, that are over and that were refused, the newest first', async () => {
    const { items, next } = await read<CallPage>('/calls');
    expect(next).toBeUndefined();
    expect(items.map(({ deviceId, state }) => [deviceId, state])).toEqual([
      ['live@carrier', 'live'],
      ['busy@carrier', 'failed'],
      ['page', 'ended'],
      ['refused@carrier', 'failed'],
      ['moved@carrier', 'ended'],
    ]);
    expect(items[0]).toMatchObject({ seconds: 2.5, caller: '+15555550199', participantTag: 'caller' });
    expect(items[0]).not.toHaveProperty('endedAt');
    expect(items[1]).toMatchObject({
      status: 486,
      reason: 'In words.',
      offeredCodecs: ['G729'],
      participantId: participants.get('busy@carrier'),
      participantTag: 'failed',
      explanation: 'Its participant is connected already.',
      advice: expect.stringContaining('one participant for each call') as string,
    });
  });

  it('has one call for a connection that moved to another session', async () => {
    const [call] = (await read<CallPage>('/calls?caller=0100')).items;
    const start = Date.parse(call!.startedAt);
    expect(call).toMatchObject({
      seconds: 20,
      endedAt: new Date(start + 20_000).toISOString(),
      endReason: 'media-timeout',
      explanation: expect.stringContaining('No sound') as string,
      advice: expect.stringContaining('PATCHBAY_MEDIA_TIMEOUT') as string,
      sessionId: sessions[1],
      sessions: [
        { sessionId: sessions[0], sessionTag: 'sales', startedAt: call!.startedAt },
        { sessionId: sessions[1], sessionTag: 'support' },
      ],
      quality: { received: { packets: 750, mos: 4.2 } },
    });
  });

  it('comes in pages', async () => {
    for (const limit of [1, 2, 3, 4]) {
      const found: string[] = [];
      let url: string | undefined = `/calls?limit=${limit}`;
      while (url !== undefined) {
        const response = await gateway.ask(url);
        const { items, next } = (await response.json()) as CallPage;
        expect(items.length).toBeLessThanOrEqual(limit);
        found.push(...items.map(({ deviceId }) => deviceId));
        url = next && `/calls?limit=${limit}&cursor=${next}`;
        expect(response.headers.has('link')).toBe(next !== undefined);
      }
      expect(found).toEqual(ALL);
    }
  });

  it('is filtered', async () => {
    expect(await idsOf('?state=live')).toEqual(['live@carrier']);
    expect(await idsOf('?state=ended')).toEqual(['page', 'moved@carrier']);
    expect(await idsOf('?state=failed')).toEqual(['busy@carrier', 'refused@carrier']);
    expect(await idsOf('?kind=browser')).toEqual(['page']);
    expect(await idsOf(`?participantId=${participants.get('refused@carrier')}`)).toEqual(['refused@carrier']);
    for (const session of sessions) expect(await idsOf(`?sessionId=${session}`)).toEqual(['moved@carrier']);
    expect(await idsOf('?deviceId=busy@carrier')).toEqual(['busy@carrier']);
    expect(await idsOf('?caller=cmd')).toEqual(['moved@carrier']);
    expect(await idsOf('?tag=failed')).toEqual(['busy@carrier', 'refused@carrier']);
    const [{ startedAt } = { startedAt: '' }] = (await read<CallPage>('/calls?deviceId=page')).items;
    expect(await idsOf(`?from=${startedAt}`)).toEqual(['live@carrier', 'busy@carrier', 'page']);
    expect(await idsOf(`?to=${startedAt}`)).toEqual(['refused@carrier', 'moved@carrier']);
  });

  it('refuses a cursor that is none, and a state that there is not', async () => {
    for (const query of ["cursor=' OR 1", 'state=gone', 'limit=0', 'from=yesterday'])
      expect((await gateway.ask(`/calls?${query}`)).status, query).toBe(400);
  });

  it('is there as CSV, whole or a page, without formulas', async () => {
    const response = await gateway.ask('/calls?format=csv');
    expect(response.headers.get('content-type')).toBe('text/csv; charset=utf-8');
    expect(response.headers.get('content-disposition')).toContain('calls.csv');
    const lines = (await response.text()).trimEnd().split('\r\n');
    expect(lines).toHaveLength(6);
    expect(lines[0]).toContain('startedAt,endedAt,seconds,state');
    expect(lines[5]).toContain("+15555550100,'=cmd()");
    const page = await (await gateway.ask('/calls?format=csv&limit=2')).text();
    expect(page.trimEnd().split('\r\n')).toEqual(lines.slice(0, 3));
  });
});

describe('one call', () => {
  it("is found by the gateway's id and by the device's own", async () => {
    const [{ connectionId } = { connectionId: '' }] = (await read<CallPage>('/calls?caller=0100')).items;
    const call = await read<Call>(`/calls/${connectionId}`);
    expect(call).toMatchObject({ deviceId: 'moved@carrier' });
    expect(await read<Call>('/calls/moved%40carrier')).toEqual(call);
    const missing = await gateway.ask('/calls/nobody');
    expect(missing.status).toBe(404);
    expect(await missing.json()).toMatchObject({ reason: 'PATCHBAY_CALL_NOT_FOUND' });
  });

  it('has the quality over its time', async () => {
    expect(await read('/calls/moved@carrier/quality')).toMatchObject({
      stepSeconds: 5,
      points: [
        { received: { packets: 500, lost: 5, mos: 4.1 }, sent: { packets: 490 } },
        { received: { packets: 250, lost: 0, mos: 4.2 }, sent: { packets: 250 } },
      ],
    });
    expect((await gateway.ask('/calls/refused@carrier/quality')).status).toBe(404);
  });

  it('has its SIP messages, as JSON and as text, without tokens', async () => {
    for (const id of ['moved@carrier', 'refused@carrier', 'live@carrier']) {
      const { items, left } = await read<{ items: object[]; left: number }>(`/calls/${id}/trace`);
      expect(items).toMatchObject([
        { direction: 'in', from: 'udp/192.0.2.9:5060', to: 'udp', method: 'INVITE', repeated: false },
      ]);
      expect(left).toBe(0);
      expect(JSON.stringify(items)).not.toContain('cccc');
    }
    for (const [query, accept] of [
      ['?format=text', '*/*'],
      ['', 'text/plain'],
    ]) {
      const response = await gateway.ask(`/calls/moved@carrier/trace${query}`, {
        headers: { accept: accept! },
      });
      expect(response.headers.get('content-type')).toBe('text/plain; charset=utf-8');
      expect(await response.text()).toMatch(/^\S+ {2}udp\/192.0.2.9:5060 -> udp\nINVITE sip:room@host/);
    }
  });

  it('of another account is not seen', async () => {
    const authorization = basic(OTHER_ACCOUNT);
    const asOther = (path: string) =>
      fetch(`${gateway.url}/v1/accounts/${OTHER_ACCOUNT.id}${path}`, { headers: { authorization } });
    const { items } = (await (await asOther('/calls')).json()) as CallPage;
    expect(items.map(({ deviceId }) => deviceId)).toEqual(['of the other']);
    for (const id of ['moved@carrier', 'refused@carrier'])
      for (const part of ['', '/trace', '/quality'])
        expect((await asOther(`/calls/${id}${part}`)).status).toBe(404);
    const foreign = await fetch(`${gateway.url}/v1/accounts/${ACCOUNT.id}/calls`, {
      headers: { authorization },
    });
    expect(foreign.status).toBe(401);
  });

  it('has its SIP messages deleted', async () => {
    const forget = () => gateway.ask('/calls/moved@carrier/trace', { method: 'DELETE' });
    expect((await forget()).status).toBe(204);
    expect((await forget()).status).toBe(404);
    expect((await gateway.ask('/calls/moved@carrier/trace')).status).toBe(404);
    expect((await gateway.ask('/calls/moved@carrier')).status).toBe(200);
  });
});
