import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { endReasonOf } from '../support/closed-usage.js';
import { startGateway, type TestGateway } from '../support/gateway.js';
import { Rest, type TestParticipant } from '../support/rest.js';
import { DRACHTIO_PROGRAM, TestDrachtio } from '../support/servers.js';
import { placeCall, type SippCall } from '../support/sipp.js';
import { TcpRelay } from '../support/tcp-relay.js';
import { until } from '../support/until.js';
import { WebhookReceiver } from '../support/webhook-receiver.js';

const TITLE = 'several drachtio-servers (need PATCHBAY_TEST_DRACHTIO_PROGRAM)';
const GRACE_S = 2;
/** A BYE is tried again in pauses of up to 16 s. */
const NOTICED_MS = 20_000;

describe.skipIf(!DRACHTIO_PROGRAM)(TITLE, () => {
  let servers: readonly [TestDrachtio, TestDrachtio];
  let gateway: TestGateway;
  let rest: Rest;
  let webhooks: WebhookReceiver;
  let session: string;
  /** One on the first server, the other two on the second. */
  let participants: TestParticipant[];
  let calls: SippCall[];

  beforeEach(async () => {
    servers = [await TestDrachtio.start(), await TestDrachtio.start()];
    webhooks = await WebhookReceiver.start();
    gateway = await startGateway({
      env: {
        PATCHBAY_DRACHTIO: servers.map(({ address }) => address).join(','),
        PATCHBAY_DRACHTIO_GRACE: String(GRACE_S),
        PATCHBAY_FREESWITCH: '',
        PATCHBAY_WEBHOOK_ALLOW: '127.0.0.1',
      },
    });
    rest = new Rest(gateway);
    session = await rest.session();
    participants = [];
    calls = [];
    await call(servers[0], 440);
    await call(servers[1], 700);
    await call(servers[1], 1100);
    await calls[0]!.tones.hears(700);
    await calls[1]!.tones.hears(440);
  });

  afterEach(async () => {
    for (const call of calls) await call.end();
    await gateway.stop();
    webhooks.close();
    for (const server of servers) await server.stop();
  });

  async function call(server: TestDrachtio, tone: number): Promise<SippCall> {
    const participant = await rest.member(session, { callbackUrl: webhooks.url });
    participants.push(participant);
    const placed = await placeCall({ sipPort: server.sipPort, token: participant.token, tone });
    calls.push(placed);
    expect((await placed.final()).status).toBe(200);
    return placed;
  }

  it('serve calls of one session; a lost server loses only its own calls, and is used again', async () => {
    const lost = participants[0]!;
    const kept = participants.slice(1);
    const devices = await Promise.all(kept.map(({ id }) => rest.device(id)));

    await servers[0].kill();
    expect(await endReasonOf(rest, lost.id, GRACE_S * 1000 + 5000)).toBe('lost');
    await webhooks.event('onLeave', lost.id);
    await expect(rest.device(lost.id)).rejects.toThrow('404');

    await calls[1]!.tones.hears(1100);
    const after = await Promise.all(kept.map(({ id }) => rest.device(id)));
    expect(after.map(({ id }) => id)).toEqual(devices.map(({ id }) => id));
    const another = await call(servers[1], 1500);
    await another.tones.hears(700);

    await servers[0].restart();
    // The server forgot the call when it died, but the phone did not.
    await calls[0]!.hungUp(NOTICED_MS);
    const again = await call(servers[0], 440);
    await again.tones.hears(700);
    await calls[1]!.tones.hears(440);
    for (const { id } of kept) expect(await rest.device(id)).toBeDefined();
  });

  it('may all be lost: every call ends, and each server is used again when it is back', async () => {
    await Promise.all(servers.map((server) => server.kill()));
    for (const { id } of participants) {
      expect(await endReasonOf(rest, id, GRACE_S * 1000 + 5000)).toBe('lost');
      await webhooks.event('onLeave', id);
    }
    await servers[1].restart();
    await Promise.all(calls.slice(1).map((call) => call.hungUp(NOTICED_MS)));
    await call(servers[1], 440);
    await servers[0].restart();
    await calls[0]!.hungUp(NOTICED_MS);
    await call(servers[0], 700);
  });
});

describe.skipIf(!DRACHTIO_PROGRAM)('two connections to one drachtio-server', () => {
  it('accept calls while one of them is lost, and calls on the other go on', async () => {
    const drachtio = await TestDrachtio.start();
    const relay = await TcpRelay.start(drachtio.adminPort);
    const PATCHBAY_DRACHTIO = [drachtio.addressBy(relay.port), drachtio.address].join(',');
    const gateway = await startGateway({ env: { PATCHBAY_DRACHTIO, PATCHBAY_FREESWITCH: '' } });
    const calls: SippCall[] = [];
    try {
      const rest = new Rest(gateway);
      const session = await rest.session();
      const place = async (tone: number): Promise<SippCall> => {
        const { token } = await rest.member(session);
        const call = await placeCall({ sipPort: drachtio.sipPort, token, tone });
        calls.push(call);
        expect((await call.final()).status).toBe(200);
        return call;
      };
      // The server passes calls to its connections in turn: one for each.
      const before = [await place(440), await place(700)] as const;
      relay.down();
      await logged(gateway, 'The connection to the SIP server is down; calls go on for the time being.');
      const during = [await place(1000), await place(1300)] as const;
      for (const { tones } of [...before, during[1]]) await tones.hears(1000);
      await during[0].tones.hears(440);
      for (const call of during) await call.hangUp();
    } finally {
      for (const call of calls) await call.end();
      await gateway.stop();
      await relay.stop();
      await drachtio.stop();
    }
  });
});

function logged(gateway: TestGateway, msg: string): Promise<unknown> {
  return until(msg, () => gateway.log.some((line) => line.msg === msg), { withinMs: 20_000 });
}
