import { describe, expect, it } from 'vitest';
import { MemoryStore } from './core-store.js';
import {
  ACCOUNT,
  connectTalking,
  conversation,
  coreForTests,
  FakeDevice,
  newParticipant,
} from './testing/index.js';

describe('announcements', () => {
  it('come beside the streams of others, with the receiver’s own id, and go again', () => {
    const { core, ann, bob } = conversation();
    const { device } = connectTalking(core, ann);
    const other = connectTalking(core, bob).device;
    core.announcements.announce(ann, ['prompt']);
    expect(device.deliveries.at(-1)).toEqual([
      { streamId: bob, mediaTypes: ['audio'], participantId: bob },
      {
        streamId: 'prompt',
        alias: 'announcement',
        mediaTypes: ['audio'],
        participantId: ann,
        announcement: true,
      },
    ]);
    expect(other.receiving).toEqual([ann]);
    core.announcements.announce(ann, ['prompt', 'tone']);
    expect(device.receiving).toEqual([bob, 'prompt', 'tone']);
    core.announcements.announce(ann, []);
    expect(device.receiving).toEqual([bob]);
  });

  it('are heard in no session too, and survive moves and changes', () => {
    const { core, session, ann, bob } = conversation();
    const { device } = connectTalking(core, ann);
    connectTalking(core, bob);
    core.announcements.announce(ann, ['prompt']);
    core.removeFromSession(ACCOUNT, session, ann);
    expect(device.receiving).toEqual(['prompt']);
    core.addToSession(ACCOUNT, core.createSession(ACCOUNT, {}).id, ann);
    core.deleteParticipant(ACCOUNT, bob);
    expect(device.receiving).toEqual(['prompt']);
    // The same delivery is not told twice.
    const told = device.deliveries.length;
    core.announcements.announce(ann, ['prompt']);
    expect(device.deliveries.length).toBe(told);
  });

  it('go with the device', () => {
    const { core, ann } = conversation();
    connectTalking(core, ann);
    core.announcements.announce(ann, ['prompt']);
    const { device } = connectTalking(core, ann);
    expect(device.receiving).toEqual([]);
    core.disconnectDevice(ACCOUNT, ann);
    core.announcements.announce(ann, ['prompt']);
    expect(device.receiving).toEqual([]);
  });

  it('are told to the application while the device is connected', () => {
    const { core, session, ann } = conversation();
    const told: unknown[] = [];
    core.on('announcement', ({ participant, session: where, state, announcementId }) =>
      told.push([participant.id, where?.id, state, announcementId]),
    );
    const report = { announcementId: 'a', state: 'ENDED' } as const;
    core.announcements.report(ann, report);
    connectTalking(core, ann);
    core.announcements.report(ann, report);
    expect(told).toEqual([[ann, session, 'ENDED', 'a']]);
  });
});

describe('who waits', () => {
  it('is in no session, or alone, or with nobody who publishes audio', () => {
    const { core, session, ann, bob } = conversation();
    const reason = () => core.announcements.waitingReason(ann);
    expect(reason()).toBeUndefined();
    connectTalking(core, ann);
    expect(reason()).toBe('alone');
    const device = new FakeDevice('bob');
    const connection = core.connect(bob, device, { replace: false });
    expect(reason()).toBe('nobody-publishes');
    connection.publish([{ streamId: 'screen', mediaTypes: ['video'] }]);
    expect(reason()).toBe('nobody-publishes');
    connection.publish([{ streamId: 'voice', mediaTypes: ['audio'] }]);
    expect(reason()).toBeUndefined();
    core.removeFromSession(ACCOUNT, session, ann);
    expect(reason()).toBe('no-session');
    core.disconnectDevice(ACCOUNT, ann);
    expect(reason()).toBeUndefined();
  });

  it('is looked at again whenever the audience may have changed', () => {
    const { core, session, ann, bob } = conversation();
    const changed: string[] = [];
    core.on('audienceChanged', (id) => changed.push(id));
    const expectChange = (act: () => void): void => {
      changed.length = 0;
      act();
      expect(changed).toContain(session);
    };
    expectChange(() => connectTalking(core, ann));
    const device = new FakeDevice('bob');
    let publish: () => void = () => undefined;
    expectChange(() => {
      const connection = core.connect(bob, device, { replace: false });
      publish = () => connection.publish([{ streamId: 'voice', mediaTypes: ['audio'] }]);
    });
    expectChange(publish);
    expectChange(() => core.removeFromSession(ACCOUNT, session, bob));
    expectChange(() => core.addToSession(ACCOUNT, session, bob));
    expectChange(() => core.disconnectDevice(ACCOUNT, bob));
  });
});

it('tells who hears a participant, or would', () => {
  const { core, session, ann, bob } = conversation();
  const [cid, dee, eve] = [newParticipant(core), newParticipant(core), newParticipant(core)];
  core.addToSession(ACCOUNT, session, cid, {
    participants: [{ participantId: ann, streamAliases: ['screen'] }],
  });
  core.addToSession(ACCOUNT, session, dee, { participants: [{ participantId: bob }] });
  core.addToSession(ACCOUNT, session, eve);
  const hearers = () => core.announcements.hearersOf(ann, session);
  expect(hearers()).toEqual([]);
  for (const id of [bob, cid, dee, eve]) connectTalking(core, id);
  expect(hearers()).toEqual([bob, cid]);
  expect(core.announcements.connectedIn(session)).toEqual([bob, cid, dee, eve]);
  expect(core.announcements.connected()).toEqual([bob, cid, dee, eve]);
});

it('keeps what a session says about music and tones', () => {
  const store = new MemoryStore();
  const { core } = coreForTests({ store });
  const own = { waitingMusic: { mediaUrl: 'media:a', when: ['alone'] }, joinTones: true } as const;
  const { id } = core.createSession(ACCOUNT, own);
  const again = coreForTests({ store }).core;
  expect(again.session(ACCOUNT, id)).toMatchObject(own);
  expect(again.announcements.session(id)).toMatchObject(own);
});
