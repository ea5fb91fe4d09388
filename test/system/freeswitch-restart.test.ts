import { mkdtempSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, onTestFailed } from 'vitest';
import { holdsOnce } from '../support/phone-room.js';
import { endReasonOf } from '../support/closed-usage.js';
import { useFreeswitchPool } from '../support/freeswitch-pool.js';
import { leftHosts, type TestGateway } from '../support/gateway.js';
import { Rest, type TestParticipant } from '../support/rest.js';
import {
  DRACHTIO_PROGRAM,
  FREESWITCH_PROGRAM,
  TestDrachtio,
  type TestFreeswitch,
} from '../support/servers.js';
import { placeCall, type SippCall, type Steps } from '../support/sipp.js';
import { until } from '../support/until.js';
import { WebhookReceiver } from '../support/webhook-receiver.js';

const [ONE, OTHER] = [440, 700];
const PATIENCE = { withinMs: 20_000 };
/** Half a second. */
const ENOUGH_PACKETS = 25;

const TITLE = 'calls by way of FreeSWITCH whose gateway was killed (needs PATCHBAY_TEST_FREESWITCH_PROGRAM)';

describe.skipIf(!FREESWITCH_PROGRAM)(TITLE, { timeout: 120_000 }, () => {
  const { freeswitch, gatewayWith, ended, afterwards } = useFreeswitchPool();

  /** Starts gateways one after the other, on the same folder and ports. */
  function successors(
    servers: readonly TestFreeswitch[],
    env: Record<string, string>,
  ): () => Promise<TestGateway> {
    const dataDir = mkdtempSync(join(tmpdir(), 'patchbay-freeswitch-'));
    afterwards(() => rm(dataDir, { recursive: true, force: true }));
    afterwards(() => until('no media host', () => leftHosts(dataDir).length === 0, PATIENCE));
    let ports = {};
    return async () => {
      const gateway = await gatewayWith(servers, { dataDir, env: { ...env, ...ports } });
      ports = { PATCHBAY_SIP_PORT: String(gateway.sipPort) };
      onTestFailed(() => console.error(gateway.log.map((line) => JSON.stringify(line)).join('\n')));
      return gateway;
    };
  }

  async function hear(call: SippCall, tone: number): Promise<void> {
    const since = performance.now();
    const heard = (): boolean => call.tones.packetsSince(since, tone).with >= ENOUGH_PACKETS;
    await until(`${tone} Hz`, heard, PATIENCE);
  }

  async function acknowledges(call: SippCall, count: number): Promise<void> {
    const acks = (): number =>
      call.messages.filter(({ direction, method }) => direction === 'sent' && method === 'ACK').length;
    await until(`ACK ${count}`, () => acks() >= count, PATIENCE);
  }

  it.each([
    ['alone', '1', 'kill'],
    ['together with its media', '0', 'kill'],
    ['or exchanged by SIGUSR2', '1', 'exchange'],
  ] as const)(
    '%s go on: heard, on the same legs, changed and ended from either side',
    async (_what, hosts, end) => {
      const webhooks = await WebhookReceiver.start();
      afterwards(() => {
        webhooks.close();
        return Promise.resolve();
      });
      const server = await freeswitch(1);
      const start = successors([server], { PATCHBAY_MEDIA_HOSTS: hosts });
      let gateway = await start();
      let rest = new Rest(gateway);
      const session = await rest.session();
      const member = (): Promise<TestParticipant> =>
        rest.member(session, { callbackUrl: webhooks.url, events: ['hold'] });
      const members = [await member(), await member(), await member()] as const;
      const [{ id }, { id: otherId }, { id: thirdId }] = members;
      const { sipPort } = gateway;
      const place = async ({ token }: TestParticipant, tone: number, then?: Steps): Promise<SippCall> =>
        ended(await placeCall({ sipPort, token, tone, limitS: 100, ...(then && { then }) }));
      const one = await place(members[0], ONE);
      const other = await place(members[1], OTHER, holdsOnce);
      const third = await place(members[2], 1000);
      await hear(one, OTHER);
      await hear(other, ONE);
      await until('all legs', async () => (await server.channels()) === 6, PATIENCE);
      const device = await rest.device(id);
      const messages = [one, other].map((call) => call.messages.length);
      const breaks = one.tones.breaks + other.tones.breaks;

      await gateway[end]();
      expect(await server.channels()).toBe(6);
      gateway = await start();
      rest = new Rest(gateway);
      await hear(one, OTHER);
      await hear(other, ONE);
      expect((await rest.device(id)).id).toBe(device.id);
      expect(
        [one, other].map((call) => call.messages.length),
        'no SIP message is needed',
      ).toEqual(messages);
      expect(await server.channels()).toBe(6);
      if (hosts !== '0')
        expect(one.tones.breaks + other.tones.breaks - breaks, 'breaks in the sequence').toBe(0);

      one.tones.sendDigit('5');
      expect(await webhooks.digitsOf(id, 1)).toBe('5');
      await rest.request('POST', `/participants/${id}/device/dtmf`, { digits: '42' });
      await until('digits at the phone', () => one.tones.digits === '42', PATIENCE);
      await other.cue();
      await webhooks.event('onHold', otherId);
      await one.tones.stopsHearing(OTHER);
      await acknowledges(other, 2);
      await other.cue();
      await webhooks.event('onResume', otherId);
      await hear(one, OTHER);
      await acknowledges(other, 3);
      await rest.subscribe(session, otherId, { participants: [{ participantId: thirdId }] });
      await other.tones.stopsHearing(ONE);

      await rest.disconnectDevice(id);
      await one.hungUp();
      await other.hangUp();
      expect(await endReasonOf(rest, otherId)).toBe('left');
      await until('two legs', async () => (await server.channels()) === 2, PATIENCE);
      // Whoever does this means the call.
      await server.api('hupall NORMAL_CLEARING');
      await third.hungUp();
      await until('no legs', async () => (await server.channels()) === 0, PATIENCE);
      expect(await endReasonOf(rest, thirdId)).toBe('lost');
      const { items } = (await rest.request('GET', '/usage')) as { items: { endReason?: string }[] };
      expect(items.map(({ endReason }) => endReason).sort()).toEqual(['disconnected', 'left', 'lost']);
      await webhooks.event('onLeave', otherId);
      expect([...new Set(webhooks.events(otherId))]).toEqual(['onConnect', 'onHold', 'onResume', 'onLeave']);
    },
  );

  it.skipIf(!DRACHTIO_PROGRAM)(
    'go on with drachtio-server, too, and end from our side (needs PATCHBAY_TEST_DRACHTIO_PROGRAM)',
    async () => {
      const drachtio = await TestDrachtio.start();
      afterwards(() => drachtio.stop());
      const server = await freeswitch(1);
      const start = successors([server], { PATCHBAY_MEDIA_HOSTS: '1', PATCHBAY_DRACHTIO: drachtio.address });
      let gateway = await start();
      let rest = new Rest(gateway);
      const session = await rest.session();
      const members = [await rest.member(session), await rest.member(session)] as const;
      const place = async ({ token }: TestParticipant, tone: number): Promise<SippCall> =>
        ended(await placeCall({ sipPort: drachtio.sipPort, token, tone, limitS: 100 }));
      const [one, other] = [await place(members[0], ONE), await place(members[1], OTHER)];
      await hear(one, OTHER);
      await until('all legs', async () => (await server.channels()) === 4, PATIENCE);
      const breaks = one.tones.breaks + other.tones.breaks;

      await gateway.kill();
      gateway = await start();
      rest = new Rest(gateway);
      await hear(one, OTHER);
      await hear(other, ONE);
      expect(one.tones.breaks + other.tones.breaks - breaks, 'breaks in the sequence').toBe(0);
      await rest.disconnectDevice(members[0].id);
      await one.hungUp();
      await until('two legs', async () => (await server.channels()) === 2, PATIENCE);
      // drachtio-server does not bring FreeSWITCH's BYE: its event socket tells.
      await server.api('hupall NORMAL_CLEARING');
      await other.hungUp();
      expect(await endReasonOf(rest, members[1].id)).toBe('lost');
    },
  );
});
