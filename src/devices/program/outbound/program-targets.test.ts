import { lookup } from 'node:dns';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { ACCOUNT } from '../../../core/testing/index.js';
import { ProgramHost } from '../testing/program-host.js';
import { GRACE_MS, useProgramServer } from '../testing/server-fixture.js';
import type { DialerParts } from './dialer.js';
import { ProgramTargets, type TargetStore } from './program-targets.js';
import type { NewTarget } from './target.js';

const start = useProgramServer();
let host: ProgramHost;

beforeEach(async () => {
  host = await ProgramHost.start();
});
afterEach(() => host.stop());

/** Pauses are as long as they are on average. */
const random = () => 0.5;

const ALLOWS = {
  checkLiteral: () => undefined,
  lookup: () => lookup,
  refusal: () => Promise.resolve(undefined),
};

/** A store in memory. */
class Stored implements TargetStore {
  readonly rows = new Map<string, string>();
  programs = () => [...this.rows].map(([id, document]) => ({ id, document }));
  saveProgram = (id: string, document: string) => void this.rows.set(id, document);
  deleteProgram = (id: string) => void this.rows.delete(id);
  admitChange = () => undefined;
}

async function scene(
  options: Partial<DialerParts> = {},
  limits: NonNullable<Parameters<typeof start>[0]>['limits'] = {},
) {
  const fixture = await start({ limits });
  const store = new Stored();
  const make = () =>
    new ProgramTargets(
      {
        core: fixture.core,
        programs: fixture.programs,
        guard: ALLOWS,
        hasRoom: () => true,
        admit: () => undefined,
        random,
        ...options,
      },
      store,
    );
  const targets = make();
  const { id, token } = fixture.participant(fixture.session());
  const events: string[] = [];
  for (const event of ['connected', 'carriedOver', 'signallingLost'] as const)
    fixture.core.on(event, () => events.push(event));
  fixture.core.on('left', ({ reason }) => events.push(`left: ${reason}`));
  const connect = (wanted: Partial<NewTarget> = {}, participantId = id) =>
    targets.connect(ACCOUNT, participantId, { url: host.url, dialect: 'patchbay', ...wanted });
  const view = () => targets.program(ACCOUNT, id);
  return { fixture, store, make, targets, id, token, events, connect, view };
}

/** A program that the gateway has connected to. */
async function connected(wanted: Partial<NewTarget> = {}) {
  const all = await scene();
  await all.connect(wanted);
  const program = await host.program();
  await program.message('start');
  return { ...all, program, deviceId: all.fixture.deviceOf(all.id) };
}

type Connected = Awaited<ReturnType<typeof connected>>;

describe('a program that the gateway connects to', () => {
  it('gets the headers that were given, and is the participant’s device; nothing secret is shown', async () => {
    const { fixture, id, program, deviceId, view, store } = await connected({
      rate: 24000,
      channels: 'streams',
      headers: { Authorization: 'Bearer s3cret' },
    });
    expect(host.requests[0]).toMatchObject({
      url: '/agent?key=s3cret',
      headers: { authorization: 'Bearer s3cret', 'user-agent': 'patchbay' },
    });
    expect(program.messages[0]).toMatchObject({ type: 'start', participantId: id, rate: 24000 });
    expect(fixture.core.device(ACCOUNT, id)).toMatchObject({
      info: { kind: 'program', direction: 'outbound' },
      formats: { sent: { encryption: 'none' } },
    });
    expect(fixture.media.specs).toMatchObject([{ deviceId, rate: 24000, channels: 'streams' }]);
    const shown = view();
    expect(shown).toEqual({
      dialect: 'patchbay',
      rate: 24000,
      channels: 'streams',
      host: host.address,
      state: 'connected',
    });
    expect(store.rows.size).toBe(1);
  });

  it('is connected to again, with growing pauses, when it cannot be reached', async () => {
    host.refuseWith = 503;
    const { fixture, connect, view, targets } = await scene();
    expect(await connect()).toMatchObject({ state: 'connecting' });
    await vi.waitFor(() =>
      expect(view()).toMatchObject({ state: 'waiting', failure: expect.stringContaining('503') as string }),
    );
    expect(targets.counts()).toEqual({ connecting: 0, connected: 0, waiting: 1 });
    for (const [at, pause] of [500, 1_000, 2_000, 4_000].entries()) {
      fixture.clock.advance(pause - 1);
      expect(view().state).toBe('waiting');
      fixture.clock.advance(1);
      await host.requested(at + 2);
      await vi.waitFor(() => expect(view().state).toBe('waiting'));
    }
    host.refuseWith = undefined;
    fixture.clock.advance(8_000);
    await (await host.program()).message('start');
    expect(view().failure).toBeUndefined();
  });

  it.each([
    [0, 400],
    [1, 600],
  ])('is tried again with a spread, as much as %d says after %i ms', async (share, pause) => {
    host.refuseWith = 500;
    const { fixture, connect, view } = await scene({ random: () => share });
    await connect();
    await vi.waitFor(() => expect(view().state).toBe('waiting'));
    fixture.clock.advance(pause - 1);
    expect(view().state).toBe('waiting');
    fixture.clock.advance(1);
    expect(view().state).toBe('connecting');
  });

  it('goes on when it is reached again in time', async () => {
    const { fixture, program, deviceId, events } = await connected();
    program.cut();
    await vi.waitFor(() => expect(events).toEqual(['connected', 'signallingLost']));
    fixture.clock.advance(500);
    const again = await host.program(2);
    expect(await again.message('start')).toMatchObject({ resumed: true, connectionId: deviceId });
    expect(events).toEqual(['connected', 'signallingLost']);
  });

  it.each([
    ['twilio', { event: 'mark', mark: { name: 'end' } }, 'mark'],
    ['jambonz', { type: 'mark', data: { name: 'end' } }, 'mark'],
    ['vonage', { action: 'notify', payload: { name: 'end' } }, 'websocket:notify'],
  ] as const)(
    'that speaks %s has its marks answered when its media host died',
    async (dialect, mark, answer) => {
      const { fixture, connect, id } = await scene();
      await connect({ dialect });
      const program = await host.program();
      await program.told(1);
      program.send(mark);
      await vi.waitFor(() => expect(fixture.media.programs.told).toHaveLength(1));
      fixture.media.emit(fixture.deviceOf(id), { type: 'interrupted' });
      const isAnswer = (message: object): boolean => /"end"/.test(JSON.stringify(message));
      await program.message(answer, isAnswer);
    },
  );

  it('is a new device when it is reached later', async () => {
    const { fixture, program, deviceId, events, view } = await connected();
    host.refuseWith = 500;
    program.cut();
    await vi.waitFor(() => expect(events).toContain('signallingLost'));
    fixture.clock.advance(GRACE_MS);
    expect(events.at(-1)).toBe('left: lost');
    await vi.waitFor(() => expect(view().state).toBe('waiting'));
    host.refuseWith = undefined;
    fixture.clock.advance(60_000);
    const again = await host.program(2);
    expect(await again.message('start')).toMatchObject({ resumed: false });
    expect(again.messages[0]).not.toMatchObject({ connectionId: deviceId });
  });

  it.each<[string, string, (scene: Connected) => unknown]>([
    ['says goodbye', 'left: left', ({ program }: Connected) => program.socket.close(1000)],
    [
      'is replaced by another device',
      'left: replaced',
      ({ fixture, token }: Connected) => fixture.open(token),
    ],
    [
      'is disconnected by REST',
      'left: disconnected',
      ({ targets, id }: Connected) => targets.disconnect(ACCOUNT, id),
    ],
    [
      'belongs to a participant that is deleted',
      'left: participant-deleted',
      ({ fixture, id }: Connected) => fixture.core.deleteParticipant(ACCOUNT, id),
    ],
  ])('is not connected to again when it %s', async (_how, event, end) => {
    const all = await connected();
    await end(all);
    await vi.waitFor(() => expect(all.events).toContain(event));
    await all.program.closed;
    expect(() => all.view()).toThrow();
    expect(all.store.rows.size).toBe(0);
    all.fixture.clock.advance(120_000);
    expect(host.requests).toHaveLength(1);
  });

  it('is forgotten when its participant is gone before it could be reached', async () => {
    host.refuseWith = 500;
    const { fixture, connect, id, store } = await scene();
    await connect();
    await host.requested(1);
    fixture.core.deleteParticipant(ACCOUNT, id);
    await vi.waitFor(() => {
      fixture.clock.advance(1_000);
      expect(store.rows.size).toBe(0);
    });
  });

  it('may be exchanged until it is connected', async () => {
    host.refuseWith = 500;
    const { connect, view, store, targets } = await scene();
    await connect();
    await host.requested(1);
    expect(await connect({ dialect: 'vonage' })).toMatchObject({ dialect: 'vonage', rate: 16000 });
    expect(view().dialect).toBe('vonage');
    expect([store.rows.size, Object.values(targets.counts())]).toEqual([1, [1, 0, 0]]);
  });

  it('waits while the gateway is full, and none is made after it began to drain', async () => {
    let wait: number | undefined = 5;
    const { fixture, connect, view } = await scene({ admit: () => wait });
    expect(await connect()).toMatchObject({ state: 'waiting', failure: 'The gateway is overloaded.' });
    wait = undefined;
    fixture.core.drain();
    fixture.clock.advance(500);
    expect((await (await host.program()).closed).code).toBe(1012);
    fixture.clock.advance(60_000);
    expect(host.requests).toHaveLength(1);
    expect(view).not.toThrow();
  });
});

describe('after a restart', () => {
  it('it is connected to again, and its device goes on if that outlived the gateway', async () => {
    const { fixture, program, deviceId, id, events, targets, store } = await connected();
    const kept = fixture.media.notes.find(([device]) => device === deviceId)![1];
    targets.stop();
    await fixture.server.stop();
    expect((await program.closed).code).toBe(1012);
    expect(store.rows.size).toBe(1);
    events.length = 0;
    const streams = [{ streamId: 'before', kinds: ['audio'], codecs: ['opus'] }] as const;
    fixture.media.carry({ kind: 'program', deviceId, note: kept, streams });
    await fixture.restart();
    await fixture.server.restore(fixture.media.carried());
    const after = new ProgramTargets(
      {
        core: fixture.core,
        programs: fixture.programs,
        guard: ALLOWS,
        hasRoom: () => true,
        admit: () => undefined,
        random,
      },
      store,
    );
    await after.restore(fixture.media.carried());
    const again = await host.program(2);
    expect(await again.message('start')).toMatchObject({ resumed: true, connectionId: deviceId });
    expect(events).toEqual(['carriedOver']);
    expect(after.program(ACCOUNT, id).state).toBe('connected');
    after.stop();
  });

  it('it is connected to as a new device if its device is gone, and forgotten if its participant is', async () => {
    const { fixture, make, store, id } = await scene();
    const target = { url: host.url, dialect: 'patchbay', rate: 16000, channels: 'mix', headers: {} };
    store.rows.set(id, JSON.stringify(target));
    store.rows.set('gone', JSON.stringify(target));
    const targets = make();
    await targets.restore([]);
    expect(await (await host.program()).message('start')).toMatchObject({ resumed: false });
    expect([...store.rows.keys()]).toEqual([id]);
    expect(fixture.core.device(ACCOUNT, id)).toBeDefined();
    targets.stop();
  });
});

describe('a program to connect to is refused', () => {
  it.each<[Partial<NewTarget>, RegExp]>([
    [{ url: 'no url' }, /^body\/url: it is not a URL\.$/],
    [{ url: 'https://agent.example' }, /^body\/url: it must begin with wss/],
    [{ url: 'wss://agent.example/#x' }, /fragment/],
    [{ dialect: 'twilio', rate: 16000 }, /^body\/rate: twilio has the rates 8000\.$/],
    [{ dialect: 'vonage', channels: 'streams' }, /^body\/channels/],
    [{ headers: { 'Sec-WebSocket-Key': 'x' } }, /^body\/headers: Sec-WebSocket-Key/],
    [{ headers: { host: 'x' } }, /^body\/headers/],
  ])('with %o', async (wanted, message) => {
    const { connect, store } = await scene();
    await expect(connect(wanted)).rejects.toMatchObject({
      code: 'PATCHBAY_BAD_REQUEST',
      message: expect.stringMatching(message) as string,
    });
    expect(store.rows.size).toBe(0);
  });

  it('at an address that must not be reached, also after it was accepted', async () => {
    const guard = {
      ...ALLOWS,
      refusal: () => Promise.resolve('The gateway must not connect to 169.254.169.254.'),
    };
    await expect((await scene({ guard })).connect()).rejects.toThrow(
      /^body\/url: The gateway must not connect to 169\.254\.169\.254\.$/,
    );
    const checkLiteral = (): never => {
      throw new Error('The gateway must not connect to 127.0.0.1.');
    };
    const { connect } = await scene({ guard: { ...ALLOWS, checkLiteral } });
    expect(await connect()).toMatchObject({
      state: 'waiting',
      failure: 'The gateway must not connect to 127.0.0.1.',
    });
    expect(host.requests).toEqual([]);
  });

  it('where its name leads only to addresses that must not be reached, at each attempt', async () => {
    const asked: string[] = [];
    let isAllowed = false;
    const guarded: ReturnType<DialerParts['guard']['lookup']> = (name, options, callback) => {
      asked.push(name);
      if (isAllowed) lookup('127.0.0.1', options, callback);
      else callback(new Error('The gateway must not connect to agent.test.'), []);
    };
    const { connect, view, fixture } = await scene({ guard: { ...ALLOWS, lookup: () => guarded } });
    await connect({ url: host.url.replace('127.0.0.1', 'agent.test') });
    await vi.waitFor(() => expect(view().failure).toBe('The gateway must not connect to agent.test.'));
    expect(host.requests).toEqual([]);
    isAllowed = true;
    fixture.clock.advance(500);
    await host.program();
    expect(asked).toEqual(['agent.test', 'agent.test']);
  });

  it('while the participant has a device, or is another account’s', async () => {
    const { fixture, connect, token, targets, id } = await scene();
    await fixture.open(token);
    await expect(connect()).rejects.toMatchObject({ code: 'PATCHBAY_ALREADY_CONNECTED' });
    const elsewhere = targets.connect('9900001', id, { url: host.url, dialect: 'patchbay' });
    await expect(elsewhere).rejects.toMatchObject({ code: 'PATCHBAY_PARTICIPANT_NOT_FOUND' });
    expect(() => targets.program('9900001', id)).toThrow('no such participant');
  });

  it('beyond the limits', async () => {
    const { fixture, connect } = await scene({}, { targetsPerAccount: 1 });
    await connect();
    await expect(connect({}, fixture.participant().id)).rejects.toMatchObject({
      code: 'PATCHBAY_TOO_MANY_CALLS',
    });
  });
});
