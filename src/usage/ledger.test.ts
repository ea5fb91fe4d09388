import { describe, expect, it } from 'vitest';
import { ACCOUNT, connectTalking, FakeDevice } from '../core/testing/index.js';
import { DAY_MS, useUsageStage } from './testing/usage-stage.js';

const stage = useUsageStage();

describe('a usage record', () => {
  it('tells all about a call, while it goes on and after its end', async () => {
    const { core, usage, clock } = stage;
    const ann = stage.participant('caller');
    const session = stage.sessionWith('meeting', ann);
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
    const records = async () => (await stage.usage.query(ACCOUNT, {})).items;
    const device = new FakeDevice('call', 'phone');
    device.formats = { received: plain, sent: plain };
    const call = stage.core.connect(stage.participant(), device, { replace: false });
    expect((await records())[0]).toMatchObject({ received: plain, sent: plain });
    stage.clock.advance(3_000);
    const opus = { codecs: ['opus', 'VP8'], encryption: 'DTLS-SRTP' };
    device.formats = { received: secure, sent: opus };
    call.formatsChanged();
    device.formats = {};
    call.formatsChanged();
    await stage.core.flush();
    await stage.crashAndStart();
    expect(await records()).toMatchObject([
      { received: secure, sent: opus, endReason: 'crashed', seconds: 3 },
    ]);
  });

  it('belongs from its start to the first session that the participant comes into', async () => {
    const ann = stage.participant();
    connectTalking(stage.core, ann);
    stage.clock.advance(1_000);
    const session = stage.sessionWith(undefined, ann);
    stage.clock.advance(1_000);
    const { items } = await stage.usage.query(ACCOUNT, {});
    expect(items).toHaveLength(1);
    expect(items[0]).toMatchObject({ sessionId: session, seconds: 2 });
  });

  it('that a crash ends has the time until its first session at least', async () => {
    const ann = stage.participant();
    stage.clock.advance(5_000);
    connectTalking(stage.core, ann);
    stage.clock.advance(1_000);
    const session = stage.sessionWith(undefined, ann);
    stage.clock.advance(1_000);
    await stage.crashAndStart();
    const { items } = await stage.usage.query(ACCOUNT, {});
    expect(items).toHaveLength(1);
    expect(items[0]).toMatchObject({ sessionId: session, endReason: 'crashed', seconds: 1 });
  });

  it('goes on when the device is carried over to the next gateway, with the time in between', async () => {
    const ann = stage.participant();
    const session = stage.sessionWith('meeting', ann);
    connectTalking(stage.core, stage.participant('lost'));
    const { device } = connectTalking(stage.core, ann);
    const since = stage.clock.now();
    stage.clock.advance(60_000);
    await stage.crashAndStart(() => {
      stage.clock.advance(3_000);
      stage.core.connect(ann, device, { replace: true, carriedSince: since });
    });
    stage.clock.advance(2_000);
    const [open] = (await stage.usage.query(ACCOUNT, { participantId: ann })).items;
    expect(open).not.toHaveProperty('endReason');
    stage.core.disconnectDevice(ACCOUNT, ann);
    const { items } = await stage.usage.query(ACCOUNT, {});
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

  it('ends where it was carried over last, when the next gateway dies soon and its device is gone then', async () => {
    const ann = stage.participant();
    const { device } = connectTalking(stage.core, ann);
    const since = stage.clock.now();
    // Less than a heartbeat.
    stage.clock.advance(10_000);
    await stage.crashAndStart(() => {
      stage.core.connect(ann, device, { replace: true, carriedSince: since });
    });
    stage.clock.advance(2_000);
    await stage.crashAndStart();
    const { items } = await stage.usage.query(ACCOUNT, {});
    expect(items).toMatchObject([{ endReason: 'crashed', seconds: 10 }]);
  });

  it('begins when a device is carried over that connected just before the gateway died, at that time', async () => {
    const ann = stage.participant();
    const since = stage.clock.now() - 2_000;
    await stage.store.flush();
    await stage.crashAndStart(() => {
      stage.core.connect(ann, new FakeDevice('call'), { replace: false, carriedSince: since });
    });
    stage.clock.advance(1_000);
    stage.core.disconnectDevice(ACCOUNT, ann);
    const { items } = await stage.usage.query(ACCOUNT, {});
    expect(items).toMatchObject([{ connectionId: 'call', startedAt: since, seconds: 3 }]);
  });

  it('has the quality that was measured last, also after the end', async () => {
    const measured = (packets: number) => ({ received: { packets }, sent: { packets } });
    const records = async () => (await stage.usage.query(ACCOUNT, {})).items;
    const { connection } = connectTalking(stage.core, stage.participant());
    connection.measured(measured(1));
    connection.end('left');
    expect(await records()).toMatchObject([{ quality: measured(1), endReason: 'left' }]);
    connection.measured(measured(2));
    expect(await records()).toMatchObject([{ quality: measured(2), endReason: 'left' }]);
    const other = connectTalking(stage.core, stage.participant()).connection;
    other.end('left');
    expect((await records()).map((record) => 'quality' in record).sort()).toEqual([false, true]);
  });

  it('is followed by another when the participant goes on in another session', async () => {
    const ann = stage.participant();
    const first = stage.sessionWith('first', ann);
    const { connection: call } = connectTalking(stage.core, ann);
    stage.clock.advance(1_000);
    stage.core.removeFromSession(ACCOUNT, first, ann);
    stage.clock.advance(2_000);
    stage.sessionWith('second', ann);
    stage.clock.advance(4_000);
    call.end('left');
    const { items, totals } = await stage.usage.query(ACCOUNT, {});
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
    const ann = stage.participant();
    const startedAt = stage.clock.now();
    connectTalking(stage.core, ann);
    stage.clock.advance(47_000);
    await stage.store.flush();
    await stage.crashAndStart();
    const [record] = (await stage.usage.query(ACCOUNT, {})).items;
    expect(record).toMatchObject({ endedAt: startedAt + 45_000, endReason: 'crashed', seconds: 45 });
    await stage.crashAndStart();
    expect((await stage.usage.query(ACCOUNT, {})).items).toEqual([record]);
  });

  it.each([-3_600_000, 3_600_000])('is as long as the call when the clock is set by %d ms', async (set) => {
    const { core, clock, usage } = stage;
    const { connection: call } = connectTalking(core, stage.participant());
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
    const startedAt = stage.clock.now();
    connectTalking(stage.core, stage.participant());
    stage.clock.set(-3_600_000);
    stage.clock.advance(20_000);
    await stage.store.flush();
    await stage.crashAndStart();
    const [record] = (await stage.usage.query(ACCOUNT, {})).items;
    expect(record!.endedAt).toBeGreaterThanOrEqual(startedAt);
  });

  it('is on one page of a report, also when the clock was set back between the records', async () => {
    const { clock, usage } = stage;
    const ids = new Set<string>();
    for (let n = 0; n < 6; n += 1) {
      stage.connection(stage.participant(), 1);
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
    stage.connection(stage.participant(), 1);
    stage.clock.advance(DAY_MS);
    expect((await stage.usage.query(ACCOUNT, {})).items).toHaveLength(1);
    stage.clock.advance(2 * DAY_MS);
    expect((await stage.usage.query(ACCOUNT, {})).items).toHaveLength(0);
  });
});
