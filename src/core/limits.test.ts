import { describe, expect, it } from 'vitest';
import type { Log } from '../shared/index.js';
import { silentLog } from '../shared/testing/index.js';
import {
  ACCOUNT,
  codeOf,
  connectTalking,
  coreForTests,
  FakeDevice,
  newParticipant,
} from './testing/index.js';
import type { ParticipantSubscription } from './types.js';

const OTHER = '9900001';

describe('an account', () => {
  it('has as many sessions as it may, beside those of another account, and again when one is deleted', () => {
    const { core } = coreForTests({ limits: { sessionsPerAccount: 2 } });
    const create = (account = ACCOUNT): string => core.createSession(account, {}).id;
    const first = create();
    create();
    expect(codeOf(create)).toBe('PATCHBAY_TOO_MANY_REQUESTS');
    create(OTHER);
    core.deleteSession(ACCOUNT, first);
    create();
    expect(codeOf(create)).toBe('PATCHBAY_TOO_MANY_REQUESTS');
  });

  it('has as many participants as it may, beside those of another account, and again when one is deleted', () => {
    const { core } = coreForTests({ limits: { participantsPerAccount: 2 } });
    const create = (account = ACCOUNT): string => core.createParticipant(account, {}).participant.id;
    const first = create();
    create();
    expect(codeOf(create)).toBe('PATCHBAY_TOO_MANY_REQUESTS');
    create(OTHER);
    core.deleteParticipant(ACCOUNT, first);
    create();
    expect(codeOf(create)).toBe('PATCHBAY_TOO_MANY_REQUESTS');
  });
});

describe('a full session', () => {
  it('has room again when a member is deleted or removed', () => {
    const { core } = coreForTests({ limits: { membersPerSession: 2 } });
    const session = core.createSession(ACCOUNT, {}).id;
    const [ann, bob, cat, dan] = Array.from({ length: 4 }, () => newParticipant(core));
    const join = (id: string): void => core.addToSession(ACCOUNT, session, id);
    join(ann!);
    join(bob!);
    expect(codeOf(() => join(cat!))).toBe('PATCHBAY_SESSION_FULL');
    core.deleteParticipant(ACCOUNT, ann!);
    join(cat!);
    expect(codeOf(() => join(dan!))).toBe('PATCHBAY_SESSION_FULL');
    core.removeFromSession(ACCOUNT, session, bob!);
    join(dan!);
    expect(core.members(ACCOUNT, session).map(({ id }) => id)).toEqual([cat, dan]);
  });
});

describe('a callback URL', () => {
  const create = (callbackUrl: string) => () =>
    coreForTests().core.createParticipant(ACCOUNT, { callbackUrl });
  const ofLength = (length: number): string => 'https://app.example/'.padEnd(length, 'x');
  const label = 'a'.repeat(63);
  const longest = [label, label, label, 'a'.repeat(61)].join('.');

  it.each([
    ['of the longest length', ofLength(2048)],
    ['with labels and a name of the longest length', `http://${longest}/`],
    ['with such a name and a dot behind it', `http://${longest}./`],
  ])('%s is taken', (_what, url) => {
    expect(codeOf(create(url))).toBeUndefined();
  });

  it.each([
    ['one character longer', ofLength(2049)],
    ['with a label that is too long', `http://${label}a.example/`],
    ['with a name that is too long', `http://${longest}a/`],
    ['with a label that begins with a hyphen', 'http://app.-x.example/'],
    ['with an empty label', 'http://app..example/'],
    ['with what no name may have', 'http://app.ex!ample/'],
  ])('%s is refused', (_what, url) => {
    expect(codeOf(create(url))).toBe('PATCHBAY_BAD_REQUEST');
  });
});

describe('subscriptions', () => {
  const subscribed = (participants: readonly ParticipantSubscription[]): (() => unknown) => {
    const { core } = coreForTests({ limits: { subscriptionEntries: 5 } });
    const session = core.createSession(ACCOUNT, {}).id;
    const ann = newParticipant(core);
    core.addToSession(ACCOUNT, session, ann);
    return () => {
      core.setSubscriptions(ACCOUNT, session, ann, { participants });
      return core.subscriptions(ACCOUNT, session, ann);
    };
  };

  it('hold as many participants and aliases as they may', () => {
    const two = { participantId: 'a', streamAliases: ['1', '2'] };
    const participants = [two, { participantId: 'b', streamAliases: ['1'] }];
    expect(subscribed(participants)()).toEqual({ participants });
    expect(codeOf(subscribed([two, two]))).toBe('PATCHBAY_BAD_REQUEST');
    expect(codeOf(subscribed([...participants, { participantId: 'c' }]))).toBe('PATCHBAY_BAD_REQUEST');
  });

  it('are kept without empty lists, and each alias once', () => {
    expect(subscribed([])()).toEqual({});
    expect(subscribed([{ participantId: 'a', streamAliases: [] }])()).toEqual({
      participants: [{ participantId: 'a' }],
    });
    expect(subscribed([{ participantId: 'a', streamAliases: ['1', '1'] }])()).toEqual({
      participants: [{ participantId: 'a', streamAliases: ['1'] }],
    });
  });
});

describe('a participant', () => {
  it('is told of the events that it asked for', () => {
    const { core } = coreForTests();
    const eventsOf = (events?: 'hold'[]): readonly string[] =>
      core.createParticipant(ACCOUNT, events ? { events } : {}).participant.events;
    expect(eventsOf()).toEqual([]);
    expect(eventsOf(['hold', 'hold'])).toEqual(['hold']);
  });

  it('may publish nothing unless it is said', () => {
    const { core } = coreForTests();
    const { publishPermissions } = core.createParticipant(ACCOUNT, {}).participant;
    expect(publishPermissions).toEqual([]);
  });
});

describe('the streams of a device', () => {
  /** A talker, and what one who hears everybody is told. */
  function room(options: Parameters<typeof coreForTests>[0] = {}) {
    const { core } = coreForTests(options);
    const session = core.createSession(ACCOUNT, {}).id;
    const [ann, bob] = [newParticipant(core), newParticipant(core)];
    for (const id of [ann, bob]) core.addToSession(ACCOUNT, session, id, { sessionId: session });
    const listener = new FakeDevice('listener');
    core.connect(bob, listener, { replace: false });
    return {
      core,
      ann,
      listener,
      connection: core.connect(ann, new FakeDevice('talker'), { replace: false }),
    };
  }

  it('beyond as many as it may publish are left out, with a warning', () => {
    const warned: object[] = [];
    const log: Log = { ...silentLog, warn: (fields) => void warned.push(fields) };
    const { ann, listener, connection } = room({ limits: { streamsPerDevice: 2 }, log });
    const streams = ['1', '2', '3', '4'].map((streamId) => ({ streamId, mediaTypes: ['audio'] as const }));
    connection.publish(streams.slice(0, 2));
    expect(warned).toEqual([]);
    connection.publish(streams);
    expect(listener.receiving).toEqual(['1', '2']);
    expect(warned).toEqual([{ participantId: ann, dropped: 2 }]);
  });

  it('are told again when their alias or media types change, and only then', () => {
    const { core, ann, listener, connection } = room();
    const publish = (alias: string | undefined, ...mediaTypes: ('audio' | 'video')[]): void =>
      connection.publish([{ streamId: 's', mediaTypes, ...(alias === undefined ? {} : { alias }) }]);
    const told = (): unknown => listener.deliveries.at(-1)?.[0];
    const stream = { streamId: 's', participantId: ann };
    publish('one', 'audio');
    expect(told()).toEqual({ ...stream, alias: 'one', mediaTypes: ['audio'] });
    publish('two', 'audio');
    expect(told()).toEqual({ ...stream, alias: 'two', mediaTypes: ['audio'] });
    publish('two', 'audio', 'video');
    expect(told()).toEqual({ ...stream, alias: 'two', mediaTypes: ['audio', 'video'] });
    publish('two', 'audio', 'video');
    expect(listener.deliveries).toHaveLength(3);
    publish(undefined, 'audio');
    expect(told()).toEqual({ ...stream, mediaTypes: ['audio'] });
    expect(core.device(ACCOUNT, ann)?.streams).toEqual([{ streamId: 's', mediaTypes: ['audio'] }]);
    publish('three', 'audio');
    expect(core.device(ACCOUNT, ann)?.streams).toEqual([
      { streamId: 's', alias: 'three', mediaTypes: ['audio'] },
    ]);
  });

  it('reach everybody else when telling one device fails, which is logged', () => {
    const failures: object[] = [];
    const log: Log = { ...silentLog, error: (fields) => void failures.push(fields) };
    const { core, listener, connection } = room({ log });
    const error = new Error('the fault of this device');
    listener.deliver = () => {
      throw error;
    };
    connection.publish([{ streamId: 's', mediaTypes: ['audio'] }]);
    expect(failures).toEqual([{ err: error }]);
    expect(connectTalking(core, newParticipant(core)).device.closed).toEqual([]);
  });
});
