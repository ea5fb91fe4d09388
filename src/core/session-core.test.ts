import { describe, expect, it } from 'vitest';
import { FakeClock } from '../shared/testing/index.js';
import { MemoryStore } from './core-store.js';
import type { Core } from './core.js';
import { PatchbayError } from './errors.js';
import {
  ACCOUNT,
  codeOf,
  connectTalking,
  conversation,
  coreForTests,
  FakeDevice,
  newParticipant,
} from './testing/index.js';

const NINE_HOURS_MS = 9 * 3_600_000;

describe('devices', () => {
  it('hear each other, and not themselves', () => {
    const { core, ann, bob } = conversation();
    const a = connectTalking(core, ann);
    const b = connectTalking(core, bob);
    expect(a.device.receiving).toEqual([bob]);
    expect(b.device.receiving).toEqual([ann]);
    expect(b.device.deliveries[0]).toEqual([{ streamId: ann, mediaTypes: ['audio'], participantId: ann }]);
  });

  it("are told whether their session evens the talkers' levels", () => {
    const { core } = coreForTests();
    const told = (levelling?: boolean): (boolean | undefined)[] => {
      const session = core.createSession(ACCOUNT, levelling === undefined ? {} : { levelling });
      expect(session.levelling).toBe(levelling);
      const [ann, bob] = [newParticipant(core), newParticipant(core)];
      for (const id of [ann, bob]) core.addToSession(ACCOUNT, session.id, id, { sessionId: session.id });
      const listener = connectTalking(core, ann).device;
      connectTalking(core, bob);
      return listener.levelling;
    };
    expect([told(), told(false), told(true)]).toEqual([[undefined], [false], [true]]);
  });

  it('are told only what changes for them', () => {
    const { core, session, ann, bob } = conversation();
    const a = connectTalking(core, ann);
    const b = connectTalking(core, bob);
    b.connection.publish([{ streamId: bob, mediaTypes: ['audio'] }]);
    core.setSubscriptions(ACCOUNT, session, ann, { participants: [{ participantId: bob }] });
    expect(a.device.deliveries).toHaveLength(1);
    core.setSubscriptions(ACCOUNT, session, ann, {});
    expect(a.device.receiving).toEqual([]);
    expect(a.device.deliveries).toHaveLength(2);
    expect(b.device.deliveries).toHaveLength(1);
  });

  it('publish no more than the participant is permitted', () => {
    const { core } = coreForTests();
    const { participant } = core.createParticipant(ACCOUNT, { publishPermissions: ['audio'] });
    const connection = core.connect(participant.id, new FakeDevice('d'), { replace: false });
    connection.publish([
      { streamId: 'camera', mediaTypes: ['video', 'audio'] },
      { streamId: 'screen', mediaTypes: ['video'] },
    ]);
    expect(core.device(ACCOUNT, participant.id)?.streams).toEqual([
      { streamId: 'camera', mediaTypes: ['audio'] },
    ]);
  });

  it('stay connected when moved from session to session', () => {
    const { core, session, ann, bob } = conversation();
    const a = connectTalking(core, ann);
    const b = connectTalking(core, bob);
    core.removeFromSession(ACCOUNT, session, ann);
    expect([a.device.receiving, b.device.receiving]).toEqual([[], []]);
    const other = core.createSession(ACCOUNT, {}).id;
    core.addToSession(ACCOUNT, other, ann, { sessionId: other });
    expect(a.device.closed).toEqual([]);
    core.removeFromSession(ACCOUNT, session, bob);
    core.addToSession(ACCOUNT, other, bob, { sessionId: other });
    expect([a.device.receiving, b.device.receiving]).toEqual([[bob], [ann]]);
  });

  it('replace another device only when told to', () => {
    const { core, ann } = conversation();
    const first = connectTalking(core, ann).device;
    const second = new FakeDevice('second');
    expect(codeOf(() => core.connect(ann, second, { replace: false }))).toBe('PATCHBAY_ALREADY_CONNECTED');
    core.connect(ann, second, { replace: true });
    expect(first.closed).toEqual(['replaced']);
    expect(core.connectedDevice(ann)?.id).toBe('second');
  });

  it('take headers for their BYE, if they can send them', () => {
    const { core, ann } = conversation();
    const headers = { 'X-Result': 'sold' };
    const set = (): void => core.setByeHeaders(ACCOUNT, ann, headers);
    expect(codeOf(set)).toBe('PATCHBAY_DEVICE_NOT_FOUND');
    connectTalking(core, ann);
    expect(codeOf(set)).toBe('PATCHBAY_DEVICE_CANNOT');
    const told: object[] = [];
    const able = new FakeDevice('able', 'phone', { setByeHeaders: (given) => void told.push(given) });
    core.connect(ann, able, { replace: true });
    set();
    expect(told).toEqual([headers]);
  });

  it('are sent DTMF, if they take it', async () => {
    const { core, ann } = conversation();
    const send = (): Promise<void> => core.sendDtmf(ACCOUNT, ann, { digits: '12#', durationMs: 80 });
    await expect(send()).rejects.toMatchObject({ code: 'PATCHBAY_DEVICE_NOT_FOUND' });
    const { connection } = connectTalking(core, ann);
    await expect(send()).rejects.toMatchObject({ code: 'PATCHBAY_DEVICE_CANNOT' });
    connection.end('left');
    const taken: object[] = [];
    const able = new FakeDevice('able', 'phone', {
      sendDtmf: (dtmf) => Promise.resolve(void taken.push(dtmf)),
    });
    core.connect(ann, able, { replace: false });
    await send();
    expect(taken).toEqual([{ digits: '12#', durationMs: 80 }]);
    await expect(core.sendDtmf('another', ann, { digits: '1' })).rejects.toMatchObject({
      code: 'PATCHBAY_PARTICIPANT_NOT_FOUND',
    });
    expect(taken).toHaveLength(1);
  });

  it('may be of a kind that the core does not know', () => {
    const { core, ann, bob } = conversation();
    core.registerKind('browser');
    core.registerKind('program');
    expect(core.counts().devices).toEqual({ browser: 0, program: 0 });
    const program = core.connect(ann, new FakeDevice('a', 'program'), { replace: false });
    core.connect(bob, new FakeDevice('b', 'phone'), { replace: false });
    expect(core.counts().devices).toEqual({ browser: 0, program: 1, phone: 1 });
    core.registerKind('program');
    expect(core.device(ACCOUNT, ann)).not.toHaveProperty('held');
    program.end('left');
    expect(core.counts().devices).toEqual({ browser: 0, program: 0, phone: 1 });
  });

  it('may be disconnected without deleting the participant', () => {
    const { core, ann } = conversation();
    const { device } = connectTalking(core, ann);
    core.disconnectDevice(ACCOUNT, ann);
    expect(device.closed).toEqual(['disconnected']);
    expect(codeOf(() => core.disconnectDevice(ACCOUNT, ann))).toBe('PATCHBAY_DEVICE_NOT_FOUND');
    connectTalking(core, ann);
    expect(core.device(ACCOUNT, ann)).toBeDefined();
  });

  it('do not disturb others when they fail or are gone', () => {
    const { core, ann, bob } = conversation();
    const broken = new FakeDevice('broken');
    broken.deliver = () => {
      throw new Error('broken');
    };
    core.connect(ann, broken, { replace: false });
    const b = connectTalking(core, bob);
    b.connection.end('left');
    b.connection.publish([{ streamId: 'late', mediaTypes: ['audio'] }]);
    b.connection.end('error');
    expect(core.device(ACCOUNT, bob)).toBeUndefined();
    expect(core.device(ACCOUNT, ann)?.delivery).toEqual([]);
  });
});

describe('an account with as many devices as it may have', () => {
  const codeOfConnect = (core: Core, id: string): string | undefined =>
    codeOf(() => core.connect(id, new FakeDevice(id), { replace: true }));

  it('gets no more until one is gone, may replace them, and does not affect another account', () => {
    const { core } = coreForTests({ limits: { devicesPerAccount: 2 } });
    const ids = Array.from({ length: 4 }, () => newParticipant(core));
    const first = core.connect(ids[0]!, new FakeDevice('first'), { replace: false });
    core.connect(ids[1]!, new FakeDevice('second'), { replace: false });
    expect(codeOf(() => core.admitDevice(core.participant(ACCOUNT, ids[2]!)))).toBe(
      'PATCHBAY_TOO_MANY_CALLS',
    );
    expect(codeOfConnect(core, ids[2]!)).toBe('PATCHBAY_TOO_MANY_CALLS');
    expect(core.counts().devicesRefused).toBe(2);
    core.connect(ids[1]!, new FakeDevice('in its place'), { replace: true });
    expect(codeOfConnect(core, ids[2]!)).toBe('PATCHBAY_TOO_MANY_CALLS');
    const { participant } = core.createParticipant('another', {});
    core.connect(participant.id, new FakeDevice('of another'), { replace: false });
    first.end('left');
    core.connect(ids[2]!, new FakeDevice('third'), { replace: false });
    expect(codeOfConnect(core, ids[3]!)).toBe('PATCHBAY_TOO_MANY_CALLS');
    core.deleteParticipant(ACCOUNT, ids[1]!);
    core.connect(ids[3]!, new FakeDevice('fourth'), { replace: false });
    expect(core.counts()).toMatchObject({ devices: { browser: 3 }, devicesRefused: 4 });
  });

  it('keeps devices that an earlier gateway had, though they are more, and the disk takes no writes', () => {
    const store = new MemoryStore();
    const { core } = coreForTests({ store, limits: { devicesPerAccount: 1 } });
    const ids = [newParticipant(core), newParticipant(core)];
    store.admitConnection = () => {
      throw new PatchbayError('PATCHBAY_STORE_UNAVAILABLE', 'The disk is full.');
    };
    for (const id of ids) core.connect(id, new FakeDevice(id), { replace: false, carriedSince: 1 });
    expect(core.counts().devices).toEqual({ browser: 2 });
  });
});

describe('a token', () => {
  it('is refused once it has expired by the machine’s clock, unless that is to be ignored', () => {
    const { core, clock } = coreForTests();
    const { token, participant } = core.createParticipant(ACCOUNT, {});
    clock.set(NINE_HOURS_MS);
    expect(codeOf(() => core.authenticate(token))).toBe('PATCHBAY_TOKEN_EXPIRED');
    expect(codeOf(() => core.authenticate(token, {}))).toBe('PATCHBAY_TOKEN_EXPIRED');
    expect(core.authenticate(token, { ignoreExpiry: true })).toEqual(participant);
  });
});

describe('a participant that is gone', () => {
  it('connects no device, and has no refused calls', () => {
    const { core } = coreForTests();
    const [ann, gone] = [newParticipant(core), newParticipant(core)];
    core.deleteParticipant(ACCOUNT, gone);
    expect(codeOf(() => connectTalking(core, gone))).toBe('PATCHBAY_PARTICIPANT_NOT_FOUND');
    const failed: unknown[] = [];
    core.on('callFailed', ({ participant, call }) => failed.push([participant, call.status]));
    const { info } = new FakeDevice('call', 'phone');
    for (const id of [ann, gone]) core.callFailed(id, { ...info, status: 488, reason: 'codec', codecs: [] });
    expect(failed).toEqual([[core.participant(ACCOUNT, ann), 488]]);
    expect([ann, gone].map((id) => core.participantOf(id)?.id)).toEqual([ann, undefined]);
  });
});

describe('the end', () => {
  it('of a session disconnects its members and leaves them without one', () => {
    const { core, session, ann, bob } = conversation();
    const devices = [connectTalking(core, ann).device, connectTalking(core, bob).device];
    const told = devices.map((device) => device.deliveries.length);
    core.deleteSession(ACCOUNT, session);
    expect(devices.map((device) => device.closed)).toEqual([['session-deleted'], ['session-deleted']]);
    expect(devices.map((device) => device.deliveries.length)).toEqual(told);
    expect(core.participant(ACCOUNT, ann).sessionId).toBeUndefined();
    expect(core.participant(ACCOUNT, ann).subscriptions).toEqual({});
    expect(codeOf(() => core.session(ACCOUNT, session))).toBe('PATCHBAY_SESSION_NOT_FOUND');
  });

  it('of a participant disconnects it and takes its streams from the others', () => {
    const { core, ann, bob } = conversation();
    const a = connectTalking(core, ann).device;
    const b = connectTalking(core, bob).device;
    core.deleteParticipant(ACCOUNT, ann);
    expect(a.closed).toEqual(['participant-deleted']);
    expect(b.receiving).toEqual([]);
    expect(codeOf(() => core.participant(ACCOUNT, ann))).toBe('PATCHBAY_PARTICIPANT_NOT_FOUND');
  });

  it('comes nine hours after the creation', () => {
    const { core, clock, session, ann } = conversation();
    const { device } = connectTalking(core, ann);
    clock.advance(NINE_HOURS_MS - 1);
    expect(core.counts()).toMatchObject({
      sessions: 1,
      participants: 2,
      devices: { browser: 1 },
      devicesRefused: 0,
    });
    clock.advance(1);
    expect(device.closed).toEqual(['expired']);
    expect(core.counts()).toMatchObject({
      sessions: 0,
      participants: 0,
      devices: { browser: 0 },
      devicesRefused: 0,
    });
    expect(codeOf(() => core.session(ACCOUNT, session))).toBe('PATCHBAY_SESSION_NOT_FOUND');
    expect(clock.pending).toBe(0);
  });

  it('may come later than a timer can wait', () => {
    const fortyDays = 40 * 24 * 3_600_000;
    const { core, clock } = conversation({
      limits: { sessionLifetimeMs: fortyDays, participantLifetimeMs: fortyDays },
    });
    clock.advance(fortyDays - 1);
    expect(core.counts()).toMatchObject({ sessions: 1, participants: 2 });
    clock.advance(1);
    expect(core.counts()).toMatchObject({ sessions: 0, participants: 0 });
  });

  it('of the core refuses new devices, then ends the connected ones', async () => {
    const { core, ann, bob } = conversation();
    const { device } = connectTalking(core, ann);
    core.drain();
    expect(codeOf(() => connectTalking(core, bob))).toBe('PATCHBAY_SHUTTING_DOWN');
    expect(device.closed).toEqual([]);
    await core.stop();
    expect(device.closed).toEqual(['shutdown']);
  });
});

describe('a restart', () => {
  it('keeps sessions, memberships, subscriptions and tokens', () => {
    const store = new MemoryStore();
    const { core, session, ann, bob } = conversation({ store });
    const { token, participant } = core.createParticipant(ACCOUNT, { tag: 'phone' });
    core.setSubscriptions(ACCOUNT, session, bob, { participants: [{ participantId: ann }] });
    const again = coreForTests({ store }).core;
    expect(again.session(ACCOUNT, session)).toEqual(core.session(ACCOUNT, session));
    expect(again.members(ACCOUNT, session)).toEqual(core.members(ACCOUNT, session));
    expect(again.authenticate(token)).toEqual(participant);
    connectTalking(again, ann);
    expect(connectTalking(again, bob).device.receiving).toEqual([ann]);
  });

  it('deletes what expired meanwhile', () => {
    const store = new MemoryStore();
    const { clock } = conversation({ store });
    const later = new FakeClock(clock.now() + NINE_HOURS_MS);
    const again = coreForTests({ store, clock: later });
    later.advance(0);
    expect(again.core.counts()).toMatchObject({ sessions: 0, participants: 0 });
  });
});
