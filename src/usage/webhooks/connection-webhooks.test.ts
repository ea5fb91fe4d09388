import { cp, rm } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import { ACCOUNT, connectTalking, FakeDevice } from '../../core/testing/index.js';
import { useUsageStage } from '../testing/usage-stage.js';

const stage = useUsageStage();

describe('the id of a webhook', () => {
  /** What waits for an application that is not there, by event. */
  const waiting = (): string[] =>
    stage.store.usage.webhooks().map(({ eventId, body }) => `${body.event} ${eventId ?? ''}`);
  const ann = () =>
    stage.core.createParticipant(ACCOUNT, { callbackUrl: 'http://127.0.0.1:9/', events: ['hold'] })
      .participant.id;

  it('is the same in every gateway that goes on from one copy of the data', async () => {
    connectTalking(stage.core, ann());
    await stage.core.flush();
    await stage.store.close();
    const copy = `${stage.dataDir}-copy`;
    await cp(stage.dataDir, copy, { recursive: true });
    const told: string[][] = [];
    for (let i = 0; i < 2; i += 1) {
      await stage.start();
      stage.usage.closeCrashed();
      await stage.crashAndStart();
      told.push(waiting());
      await stage.store.close();
      await rm(stage.dataDir, { recursive: true });
      await cp(copy, stage.dataDir, { recursive: true });
    }
    await stage.start();
    await rm(copy, { recursive: true });
    expect(told[0]).toHaveLength(3);
    expect(told[0]!.map((event) => event.split(' ')[0])).toEqual(['onConnect', 'onDisconnect', 'onLeave']);
    expect(told[1]).toEqual(told[0]);
  });

  it('is another for each event of one kind, and of another connection', async () => {
    const device = connectTalking(stage.core, ann());
    for (const digit of ['1', '1', '2']) device.connection.dtmf(digit, 100);
    connectTalking(stage.core, ann()).connection.end('left');
    await stage.crashAndStart();
    // The second has what the first told of the end of the one that was up.
    await stage.crashAndStart();
    const ids = waiting();
    expect(ids).toHaveLength(8);
    expect(new Set(ids).size).toBe(8);
  });
});

describe('the webhooks of a connection', () => {
  const bodies = (): object[] => stage.store.usage.webhooks().map(({ body }) => body);

  it('say how its media are carried', async () => {
    const callbackUrl = 'http://127.0.0.1:9/';
    const { id } = stage.core.createParticipant(ACCOUNT, { callbackUrl }).participant;
    const device = new FakeDevice('call', 'phone');
    const format = { codecs: ['G722'], encryption: 'none' };
    device.formats = { received: format };
    const call = stage.core.connect(id, device, { replace: false });
    device.formats = { received: format, sent: format };
    call.formatsChanged();
    call.end('left');
    await stage.crashAndStart();
    expect(bodies()).toMatchObject([
      { event: 'onConnect', received: format, sent: null },
      { event: 'onLeave', received: format, sent: format },
    ]);
  });

  it('say at its end how it sounded, as far as it is known then', async () => {
    const callbackUrl = 'http://127.0.0.1:9/';
    const { id } = stage.core.createParticipant(ACCOUNT, { callbackUrl }).participant;
    const connection = stage.core.connect(id, new FakeDevice('call', 'phone'), { replace: false });
    const measured = (packets: number) => ({ received: { packets, lost: 1, mos: 4.2 }, sent: { packets } });
    const inRecords = async (): Promise<unknown> =>
      (await stage.usage.query(ACCOUNT, { participantId: id })).items.map(({ quality }) => quality);
    connection.measured(measured(100));
    connection.end('left');
    expect(await inRecords()).toEqual([measured(100)]);

    // The media are closed a moment later.
    connection.measured(measured(140));
    connection.measured(measured(999));
    expect(await inRecords()).toEqual([measured(140)]);
    await stage.crashAndStart();
    expect(bodies()).toMatchObject([{ event: 'onConnect' }, { event: 'onLeave', quality: measured(100) }]);
  });

  it('say who speaks, for participants that ask for it', async () => {
    const callbackUrl = 'http://127.0.0.1:9/';
    for (const events of [[], ['speaking'] as const]) {
      const { id } = stage.core.createParticipant(ACCOUNT, {
        callbackUrl,
        events,
        publishPermissions: ['audio'],
      }).participant;
      const connection = stage.core.connect(id, new FakeDevice(id, 'browser'), { replace: false });
      connection.publish([{ streamId: 's', alias: 'mic', mediaTypes: ['audio'] }]);
      connection.speaking('s', true, -20);
      connection.speaking('s', true, -21);
      connection.speaking('s', false, -22.5);
      connection.speaking('unknown', true, -20);
    }
    await stage.crashAndStart();
    expect(bodies().filter((body) => (body as { event: string }).event === 'onSpeaking')).toMatchObject([
      { streamId: 's', alias: 'mic', speaking: true, levelDb: -20 },
      { streamId: 's', alias: 'mic', speaking: false, levelDb: -22.5 },
    ]);
  });

  it('say what kind of connection it is, and at its end why and how long it was', async () => {
    const callbackUrl = 'http://127.0.0.1:9/';
    const [ended, crashed] = [0, 1].map(
      () => stage.core.createParticipant(ACCOUNT, { callbackUrl }).participant.id,
    );
    const sessionId = stage.sessionWith('standup', ended!, crashed!);
    stage.connection(ended!, 61);
    connectTalking(stage.core, crashed!);
    stage.clock.advance(20_000);
    await stage.core.flush();
    await stage.crashAndStart();
    await stage.crashAndStart();
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
