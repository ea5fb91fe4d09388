import { describe, expect, it } from 'vitest';
import type { Core, CoreEvents } from './core.js';
import { ACCOUNT, connectTalking, coreForTests, FakeDevice, newParticipant } from './testing/index.js';

const NAMES = ['connected', 'signallingLost', 'left', 'moved', 'held', 'resumed', 'dtmf'] as const;

/** Writes down the events of a core. */
function recorded(core: Core): { name: keyof CoreEvents; reason?: string; session?: string }[] {
  const events: { name: keyof CoreEvents; reason?: string; session?: string }[] = [];
  for (const name of NAMES) {
    core.on(name, (event) => {
      events.push({
        name,
        ...('reason' in event ? { reason: event.reason } : {}),
        ...(event.session ? { session: event.session.id } : {}),
      });
    });
  }
  return events;
}

describe('events', () => {
  it('tell of connecting and leaving exactly once, with the session that it was in', () => {
    const { core } = coreForTests();
    const events = recorded(core);
    const session = core.createSession(ACCOUNT, {}).id;
    const ann = newParticipant(core);
    core.addToSession(ACCOUNT, session, ann);
    const { connection } = connectTalking(core, ann);
    connection.end('left');
    connection.end('error');
    core.deleteParticipant(ACCOUNT, ann);
    expect(events).toEqual([
      { name: 'connected', session },
      { name: 'left', reason: 'left', session },
    ]);
  });

  it('tell of the replaced device before the new one', () => {
    const { core } = coreForTests();
    const events = recorded(core);
    const ann = newParticipant(core);
    connectTalking(core, ann);
    connectTalking(core, ann);
    expect(events).toEqual([
      { name: 'connected' },
      { name: 'left', reason: 'replaced' },
      { name: 'connected' },
    ]);
  });

  it('tell of the devices of a deleted session, with that session', () => {
    const { core } = coreForTests();
    const session = core.createSession(ACCOUNT, {}).id;
    const ann = newParticipant(core);
    core.addToSession(ACCOUNT, session, ann);
    connectTalking(core, ann);
    const events = recorded(core);
    core.deleteSession(ACCOUNT, session);
    expect(events).toEqual([{ name: 'left', reason: 'session-deleted', session }]);
  });

  it('tell of moving, only while connected and only when the session changes', () => {
    const { core } = coreForTests();
    const events = recorded(core);
    const session = core.createSession(ACCOUNT, {}).id;
    const ann = newParticipant(core);
    core.addToSession(ACCOUNT, session, ann);
    core.removeFromSession(ACCOUNT, session, ann);
    connectTalking(core, ann);
    core.addToSession(ACCOUNT, session, ann);
    core.addToSession(ACCOUNT, session, ann, { sessionId: session });
    core.setSubscriptions(ACCOUNT, session, ann, {});
    core.removeFromSession(ACCOUNT, session, ann);
    expect(events).toEqual([{ name: 'connected' }, { name: 'moved', session }, { name: 'moved' }]);
  });

  it('tell of another codec or encryption, and keep the last of each direction', () => {
    const { core } = coreForTests();
    const ann = newParticipant(core);
    const told: object[] = [];
    for (const name of ['connected', 'formatsChanged', 'left'] as const)
      core.on(name, ({ formats }) => told.push({ name, ...formats }));
    const device = new FakeDevice('call', 'phone');
    const [plain, secure] = ['none', 'AES_CM_128_HMAC_SHA1_80'].map((encryption) => ({
      codecs: ['PCMU'],
      encryption,
    }));
    device.formats = { received: plain, sent: plain };
    const connection = core.connect(ann, device, { replace: false });
    device.formats = { received: { ...plain! }, sent: { ...plain! } };
    connection.formatsChanged();
    device.formats = { received: secure, sent: plain };
    connection.formatsChanged();
    device.formats = { received: secure };
    connection.formatsChanged();
    expect(core.device(ACCOUNT, ann)?.formats).toEqual({ received: secure });
    connection.end('left');
    connection.formatsChanged();
    expect(told).toEqual([
      { name: 'connected', received: plain, sent: plain },
      { name: 'formatsChanged', received: secure, sent: plain },
      { name: 'left', received: secure, sent: plain },
    ]);
  });

  it('tell of lost signalling once until it is back', () => {
    const { core } = coreForTests();
    const { connection } = connectTalking(core, newParticipant(core));
    const events = recorded(core);
    connection.signallingLost();
    connection.signallingLost();
    connection.signallingResumed();
    connection.signallingLost();
    connection.end('lost');
    connection.signallingLost();
    expect(events.map(({ name }) => name)).toEqual(['signallingLost', 'signallingLost', 'left']);
  });

  it('tell of hold and resume once each, and not of a device that is gone', () => {
    const { core } = coreForTests();
    const ann = newParticipant(core);
    const phone = core.connect(ann, new FakeDevice('call', 'phone', { hold: true }), { replace: false });
    const events = recorded(core);
    const held = (): boolean | undefined => core.device(ACCOUNT, ann)?.held;
    phone.hold(false);
    expect(held()).toBe(false);
    phone.hold(true);
    phone.hold(true);
    expect(held()).toBe(true);
    phone.hold(false);
    phone.hold(true);
    phone.end('left');
    phone.hold(false);
    expect(events.map(({ name }) => name)).toEqual(['held', 'resumed', 'held', 'left']);
    connectTalking(core, ann);
    expect(held(), 'browsers do not hold').toBeUndefined();
  });

  it('do not tell again of a hold from before an earlier gateway died, but of its end', () => {
    const { core } = coreForTests();
    const ann = newParticipant(core);
    const events = recorded(core);
    const device = new FakeDevice('call', 'phone', { hold: true });
    const phone = core.connect(ann, device, { replace: false, carriedSince: 1, held: true });
    expect(core.device(ACCOUNT, ann)?.held).toBe(true);
    phone.hold(true);
    phone.hold(false);
    expect(events.map(({ name }) => name)).toEqual(['resumed']);
  });

  it('tell of DTMF digits, and of no other characters', () => {
    const { core } = coreForTests();
    const { connection } = connectTalking(core, newParticipant(core));
    const digits: string[] = [];
    core.on('dtmf', ({ digit }) => digits.push(digit));
    for (const digit of ['1', '*', 'D', 'E', '12', '']) connection.dtmf(digit, 100);
    expect(digits).toEqual(['1', '*', 'D']);
  });

  it('reach the other listeners when one fails, and none that was removed', () => {
    const { core } = coreForTests();
    const heard: string[] = [];
    const listener = () => heard.push('gone');
    core.on('connected', () => {
      throw new Error('a listener at fault');
    });
    core.on('connected', listener);
    core.off('connected', listener);
    core.on('connected', () => heard.push('there'));
    connectTalking(core, newParticipant(core));
    expect(heard).toEqual(['there']);
  });
});

describe('order', () => {
  it('of a delivery is that of publishing, and outlasts changes of a stream', () => {
    const { core } = coreForTests();
    const session = core.createSession(ACCOUNT, {}).id;
    const [ann, bob, cat] = [newParticipant(core), newParticipant(core), newParticipant(core)];
    for (const id of [ann, bob, cat]) core.addToSession(ACCOUNT, session, id, { sessionId: session });
    const listener = new FakeDevice('listener');
    core.connect(cat, listener, { replace: false });
    const b = connectTalking(core, bob).connection;
    connectTalking(core, ann);
    b.publish([
      { streamId: 'late', mediaTypes: ['video'] },
      { streamId: bob, mediaTypes: ['audio', 'video'] },
    ]);
    expect(listener.receiving).toEqual([bob, ann, 'late']);
  });
});

describe('resume points', () => {
  it('are kept for devices that may come back, and only for the last few', () => {
    const { core } = coreForTests();
    const ann = newParticipant(core);
    const connectAndEnd = (id: string, reason: 'lost' | 'left') => {
      const connection = core.connect(ann, new FakeDevice(id), { replace: true });
      connection.saveResumePoint({ layout: ['audio'], revision: 1 });
      connection.end(reason);
    };
    for (const id of ['1', '2', '3', '4', '5']) connectAndEnd(id, 'lost');
    connectAndEnd('3', 'left');
    const kept = ['1', '2', '3', '4', '5'].filter((id) => core.resumePoint(ann, `external-${id}`));
    expect(kept).toEqual(['2', '4', '5']);
  });

  it('are kept when the core stops, so that pages come back to the next one', async () => {
    const { core } = coreForTests();
    const ann = newParticipant(core);
    const point = { layout: ['audio'], revision: 1 } as const;
    core.connect(ann, new FakeDevice('1'), { replace: true }).saveResumePoint(point);
    await core.stop();
    expect(core.resumePoint(ann, 'external-1')).toEqual(point);
  });

  it('are deleted with a device that is told to go, and with the participant', () => {
    const { core } = coreForTests();
    const ann = newParticipant(core);
    const connection = core.connect(ann, new FakeDevice('1'), { replace: true });
    connection.saveResumePoint({ layout: [], revision: 1 });
    core.connect(ann, new FakeDevice('2'), { replace: true }).saveResumePoint({ layout: [], revision: 2 });
    expect(core.resumePoint(ann, 'external-1')).toBeUndefined();
    core.deleteParticipant(ACCOUNT, ann);
    expect(core.resumePoint(ann, 'external-2')).toBeUndefined();
  });
});
