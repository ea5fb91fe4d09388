import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { endReasonOf } from '../support/closed-usage.js';
import { startGateway, type TestGateway } from '../support/gateway.js';
import { killMachine, removeMachine } from '../support/gateway-machine.js';
import { Rest, type TestParticipant } from '../support/rest.js';
import { DRACHTIO_PROGRAM, TestDrachtio } from '../support/servers.js';
import { placeCall, type SippCall } from '../support/sipp.js';
import { Softphone } from '../support/softphones.js';
import { until } from '../support/until.js';
import { usePostgres } from '../support/use-postgres.js';

const TITLE = 'gateways that share a drachtio-server (need PATCHBAY_TEST_DRACHTIO_PROGRAM)';
const SOFTPHONE_TONE = 500;
const SIPP_TONE = 700;
/** What the other party says once the call has moved. */
const LATER_TONE = 1100;
/** Calls come to one or the other. */
const MAX_CALLS = 20;
const LIMIT = { withinMs: 30_000, everyMs: 20 };

describe.skipIf(!DRACHTIO_PROGRAM)(TITLE, () => {
  const server = usePostgres();
  let drachtio: TestDrachtio;
  let gateways: readonly [TestGateway, TestGateway];
  let rest: Rest;
  let session: string;
  let url: string;
  let calls: SippCall[];

  beforeEach(async () => {
    drachtio = await TestDrachtio.start();
    url = await server().database();
    const start = (): Promise<TestGateway> =>
      startGateway({
        env: {
          PATCHBAY_STORE: url,
          PATCHBAY_DRACHTIO: drachtio.address,
          PATCHBAY_MEDIA_HOSTS: '1',
          PATCHBAY_FREESWITCH: '',
        },
      });
    gateways = [await start(), await start()];
    // The first one leads, and lives on.
    rest = new Rest(gateways[0]);
    session = await rest.session();
    calls = [];
  });

  afterEach(async () => {
    for (const call of calls) await call.end();
    for (const gateway of [...gateways].reverse()) await removeMachine(gateway);
    await drachtio.stop();
  });

  /** Places calls until one comes to a gateway; the others stay. */
  async function callAt(gateway: TestGateway): Promise<SippCall> {
    for (let n = 0; n < MAX_CALLS; n += 1) {
      const { id, token } = await rest.member(session);
      const call = await placeCall({ sipPort: drachtio.sipPort, token, tone: SIPP_TONE });
      calls.push(call);
      expect((await call.final()).status).toBe(200);
      if (await isAt(gateway, { id })) return call;
    }
    throw new Error('No call came to the gateway.');
  }

  async function softphoneAt(gateway: TestGateway): Promise<{ phone: Softphone; member: TestParticipant }> {
    for (let n = 0; n < MAX_CALLS; n += 1) {
      const member = await rest.member(session);
      const uri = `sip:gw@127.0.0.1:${String(drachtio.sipPort)};token=${member.token}`;
      const phone = Softphone.baresip({ uri, tone: SOFTPHONE_TONE });
      if (await isAt(gateway, member)) return { phone, member };
      await phone.hangUp();
      await phone.end();
    }
    throw new Error('No call came to the gateway.');
  }

  /** Whether the call of a participant, which is to be at one of both, is at this one. */
  async function isAt(gateway: TestGateway, { id }: { readonly id: string }): Promise<boolean> {
    const answered = (one: TestGateway): boolean =>
      one.log.some(({ msg, participantId }) => msg === 'Call answered.' && participantId === id);
    await until('it is answered', () => gateways.some(answered), LIMIT);
    return answered(gateway);
  }

  it('go on with the calls of one whose processes died, which can end then', async () => {
    const [leader, edge] = gateways;
    const near = await callAt(leader);
    const { phone, member } = await softphoneAt(edge);
    try {
      await near.tones.hears(SOFTPHONE_TONE);
      const device = await rest.device(member.id);
      const stored = (): Promise<readonly unknown[]> => server().sql('SELECT id FROM patchbay.calls', url);
      await until('they are in the store', async () => (await stored()).length === calls.length + 1, LIMIT);
      await killMachine(edge);
      const since = performance.now();
      await leader.waitForLog(
        ({ msg, participantId }) => msg === 'Call goes on.' && participantId === member.id,
      );
      await until(
        'sound',
        () => near.tones.packetsSince(performance.now() - 500, SOFTPHONE_TONE).with >= 10,
        LIMIT,
      );
      console.info(`heard again ${Math.round(performance.now() - since)} ms after the death`);
      expect(await rest.device(member.id)).toMatchObject({ id: device.id });
      near.tones.frequency = LATER_TONE;
      await phone.listen();
      await rest.disconnectDevice(member.id);
      await until('its BYE', () => phone.output.includes('session closed'), LIMIT);
      expect(phone.heard(LATER_TONE)).toBe(true);
      expect(await endReasonOf(rest, member.id, 10_000)).toBe('disconnected');
    } finally {
      await phone.end();
    }
  });
});
