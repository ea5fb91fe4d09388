import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { endReasonOf } from '../support/closed-usage.js';
import { startGateway, type TestGateway } from '../support/gateway.js';
import { Rest, type TestParticipant } from '../support/rest.js';
import { DRACHTIO_PROGRAM, TestDrachtio } from '../support/servers.js';
import { placeCall, type SippCall } from '../support/sipp.js';
import { TcpRelay } from '../support/tcp-relay.js';
import { until } from '../support/until.js';

const TITLE = 'the connection to drachtio-server (needs PATCHBAY_TEST_DRACHTIO_PROGRAM)';
/** After a loss, the phone of a call is queried every 10 s. */
const NOTICED_MS = 20_000;
/** Short of the default 30 s, and long enough for the absences that calls are to outlive. */
const GRACE_S = 8;

describe.skipIf(!DRACHTIO_PROGRAM)(TITLE, () => {
  let drachtio: TestDrachtio;
  let relay: TcpRelay;
  let gateway: TestGateway;
  let rest: Rest;
  let one: TestParticipant;
  let other: TestParticipant;
  let calls: SippCall[];

  beforeEach(async () => {
    drachtio = await TestDrachtio.start();
    relay = await TcpRelay.start(drachtio.adminPort);
    const PATCHBAY_DRACHTIO = drachtio.addressBy(relay.port);
    gateway = await startGateway({
      env: { PATCHBAY_DRACHTIO, PATCHBAY_DRACHTIO_GRACE: String(GRACE_S), PATCHBAY_FREESWITCH: '' },
    });
    rest = new Rest(gateway);
    const session = await rest.session();
    [one, other] = [await rest.member(session), await rest.member(session)];
    calls = [
      await placeCall({ sipPort: gateway.sipPort, token: one.token, tone: 440 }),
      await placeCall({ sipPort: gateway.sipPort, token: other.token, tone: 700 }),
    ];
    await calls[0]!.tones.hears(700);
  });

  afterEach(async () => {
    for (const call of calls) await call.end();
    await gateway.stop();
    await relay.stop();
    await drachtio.stop();
  });

  const logged = (msg: string, times: number): Promise<unknown> =>
    until(msg, () => gateway.log.filter((line) => line.msg === msg).length >= times, {
      withinMs: GRACE_S * 1000 + 10_000,
    });

  async function absence(during?: () => Promise<unknown>): Promise<void> {
    relay.down();
    await logged('The connection to the SIP server is down; calls go on for the time being.', 1);
    await during?.();
    relay.up();
    await logged('Connected to the SIP server.', 2);
  }

  it('may be lost for a while: calls go on, and can be ended by BYE', async () => {
    const devices = [await rest.unmeasuredDevice(one.id), await rest.unmeasuredDevice(other.id)];
    await absence();
    await calls[0]!.tones.hears(700);
    expect([await rest.unmeasuredDevice(one.id), await rest.unmeasuredDevice(other.id)]).toEqual(devices);
    await rest.disconnectDevice(one.id);
    await calls[0]!.hungUp();
    const third = await rest.participant();
    const next = await placeCall({ sipPort: gateway.sipPort, token: third.token });
    calls.push(next);
    expect((await next.final()).status).toBe(200);
  });

  it('may be lost while a phone calls: drachtio-server refuses the call, so that the carrier tries elsewhere', async () => {
    const { token } = await rest.participant();
    await absence(async () => {
      const refused = await placeCall({ sipPort: gateway.sipPort, token });
      calls.push(refused);
      expect((await refused.final()).status).toBe(503);
    });
    const again = await placeCall({ sipPort: gateway.sipPort, token });
    calls.push(again);
    expect((await again.final()).status).toBe(200);
  });

  it('may be lost while the application hangs up: the phone gets its BYE afterwards', async () => {
    await absence(() => rest.disconnectDevice(one.id));
    await calls[0]!.hungUp(NOTICED_MS);
  });

  it('may be lost while a phone hangs up: the participant does not stay connected', async () => {
    await absence(async () => {
      await calls[0]!.cue();
      // drachtio-server answers by itself, since no application is connected.
      await calls[0]!.waitFor('481', ({ status }) => status === 481);
    });
    await until('the device gone', () => gone(rest, one.id), { withinMs: NOTICED_MS });
    expect(await rest.device(other.id)).toBeDefined();
  });

  it('may be lost for too long: the calls end on this side, and the phones get their BYE later', async () => {
    relay.down();
    await logged('The connection to the SIP server did not come back in time: its calls end.', 1);
    for (const { id } of [one, other]) {
      expect(await endReasonOf(rest, id)).toBe('lost');
      await expect(rest.device(id)).rejects.toThrow('404');
    }
    relay.up();
    for (const call of calls) await call.hungUp(NOTICED_MS);
    await logged('Connected to the SIP server.', 2);
    const again = await placeCall({ sipPort: gateway.sipPort, token: one.token });
    calls.push(again);
    expect((await again.final()).status).toBe(200);
  });

  it('may be lost with the server: phones get their BYE from the next one', async () => {
    await drachtio.kill();
    await drachtio.restart();
    await calls[0]!.hungUp(NOTICED_MS);
    await calls[1]!.hungUp(NOTICED_MS);
    await until('both devices gone', async () => (await gone(rest, one.id)) && gone(rest, other.id), {
      withinMs: NOTICED_MS,
    });
  });
});

async function gone(rest: Rest, participantId: string): Promise<boolean> {
  return rest.device(participantId).then(
    () => false,
    (error: unknown) => String(error).includes('404'),
  );
}
