import { beforeEach, describe, expect, it } from 'vitest';
import type { Connection, Core } from '../core/index.js';
import { ACCOUNT, connectTalking, conversation, type FakeDevice } from '../core/testing/index.js';
import type { FakeClock } from '../shared/testing/index.js';
import type { AccountEvent } from './feed.js';
import { SessionLevels } from './session-levels.js';

let core: Core;
let clock: FakeClock;
let session: string;
let ann: { id: string; device: FakeDevice; connection: Connection };
let bob: typeof ann;
let levels: SessionLevels;
let told: AccountEvent[];
/** Timers of the core. */
let timers: number;

beforeEach(() => {
  const room = conversation();
  ({ core, clock, session } = room);
  ann = { id: room.ann, ...connectTalking(core, room.ann) };
  bob = { id: room.bob, ...connectTalking(core, room.bob) };
  told = [];
  timers = clock.pending;
  levels = new SessionLevels(core, clock, (accountId, event) => {
    expect(accountId).toBe(ACCOUNT);
    told.push(event);
  });
});

/** Each of them is as loud as that; undefined: nothing is heard of them. */
function loud(db: Partial<Record<'ann' | 'bob', number>>): void {
  for (const [who, { id, connection }] of Object.entries({ ann, bob })) {
    const levelDb = db[who as 'ann'];
    connection.levels(levelDb === undefined ? [] : [{ streamId: id, levelDb }]);
  }
}

const heard = (): (readonly object[])[] =>
  told.map(({ data }) => (data as { levels: readonly object[] }).levels);
const level = (who: typeof ann, levelDb: number): object => ({
  streamId: who.id,
  participantId: who.id,
  levelDb,
});

describe('the levels of a session', () => {
  it('are wanted of its devices while somebody watches it, also of those that come', () => {
    const ends = [levels.watch(ACCOUNT, session), levels.watch(ACCOUNT, session)];
    expect(ann.device.watched).toEqual([true]);
    const carol = core.createParticipant(ACCOUNT, { publishPermissions: ['audio'] }).participant.id;
    const { device } = connectTalking(core, carol);
    timers = clock.pending;
    expect(device.watched).toEqual([]);
    core.addToSession(ACCOUNT, session, carol);
    expect(device.watched).toEqual([true]);
    core.removeFromSession(ACCOUNT, session, carol);
    expect(device.watched).toEqual([true, false]);
    ends[0]!();
    ends[0]!();
    expect(ann.device.watched).toEqual([true]);
    ends[1]!();
    expect(ann.device.watched).toEqual([true, false]);
    loud({ ann: -20 });
    clock.advance(1_000);
    expect(told).toEqual([]);
    expect(clock.pending).toBe(timers);
  });

  it('are told together, rounded, and at most five times a second', () => {
    levels.watch(ACCOUNT, session);
    for (let frame = 0; frame < 50; frame += 1) {
      loud({ ann: -20.4, bob: -33.6 });
      clock.advance(20);
    }
    expect(told.length).toBeGreaterThanOrEqual(4);
    expect(told.length).toBeLessThanOrEqual(5);
    expect(told[0]).toMatchObject({ type: 'levels', sessionId: session, tags: [] });
    expect(new Set(heard().map((one) => JSON.stringify(one)))).toEqual(
      new Set([JSON.stringify([level(ann, -20), level(bob, -34)])]),
    );
  });

  it('leave out who is silent, and are told once more, empty, when all are', () => {
    levels.watch(ACCOUNT, session);
    loud({ ann: -20, bob: -90 });
    clock.advance(200);
    loud({ bob: -30 });
    clock.advance(200);
    loud({});
    clock.advance(200);
    loud({});
    clock.advance(1_000);
    expect(heard()).toEqual([[level(ann, -20)], [level(bob, -30)], []]);
  });

  it('outlast the moment in which a device is late, and no more', () => {
    levels.watch(ACCOUNT, session);
    loud({ ann: -20, bob: -30 });
    clock.advance(200);
    ann.connection.levels([{ streamId: ann.id, levelDb: -25 }]);
    clock.advance(200);
    expect(heard()).toEqual([
      [level(ann, -20), level(bob, -30)],
      [level(bob, -30), level(ann, -25)],
    ]);
    core.disconnectDevice(ACCOUNT, ann.id);
    core.disconnectDevice(ACCOUNT, bob.id);
    clock.advance(1_000);
    expect(heard().at(-1)).toEqual([]);
    expect(clock.pending).toBe(timers);
  });

  it('are told of streams that are published, in the session that is watched', () => {
    levels.watch(ACCOUNT, session);
    ann.connection.levels([{ streamId: 'not permitted', levelDb: -10 }]);
    core.removeFromSession(ACCOUNT, session, bob.id);
    loud({ bob: -10 });
    clock.advance(1_000);
    expect(told).toEqual([]);
  });

  it('are told to the account alone whose session it is', () => {
    for (const id of [levels.watch('another', session), levels.watch(ACCOUNT, 'unknown')]) id();
    levels.watch('another', session);
    expect(ann.device.watched).toEqual([]);
  });
});
