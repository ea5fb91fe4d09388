import { describe, expect, it } from 'vitest';
import { endReasonOf } from '../support/closed-usage.js';
import { movable, rtpPortOf, useFreeswitchPool } from '../support/freeswitch-pool.js';
import { Rest } from '../support/rest.js';
import { audioAddressOf } from '../support/sip-message.js';
import {
  DRACHTIO_PROGRAM,
  FREESWITCH_PROGRAM,
  TestDrachtio,
  type TestFreeswitch,
} from '../support/servers.js';
import { placeCall, type SippCall } from '../support/sipp.js';
import { Softphone } from '../support/softphones.js';
import { TcpRelay } from '../support/tcp-relay.js';
import { until } from '../support/until.js';

/** Time of a move by re-INVITE, including the server's orderly stop before it. */
const MOVED_MS = 20_000;
/** Enough calls that a stop which loses one in three cannot pass by chance. */
const CALLS = 12;

const BOTH_TITLE =
  'a FreeSWITCH that dies while drachtio-server is away (needs PATCHBAY_TEST_FREESWITCH_PROGRAM and PATCHBAY_TEST_DRACHTIO_PROGRAM)';

const TITLE = 'a FreeSWITCH of two (needs PATCHBAY_TEST_FREESWITCH_PROGRAM)';

describe.skipIf(!FREESWITCH_PROGRAM)(TITLE, () => {
  const { freeswitch, gatewayWith, ended, afterwards } = useFreeswitchPool();

  const stops: readonly [string, (server: TestFreeswitch) => Promise<unknown>][] = [
    ['SIGTERM', (server) => server.terminate()],
    ['fsctl shutdown', (server) => server.api('fsctl shutdown')],
  ];

  it.each(stops)(
    'that is stopped in order (%s) loses no call: each moves to the other',
    async (_by, stop) => {
      const servers = [await freeswitch(1), await freeswitch(2)] as const;
      const gateway = await gatewayWith(servers);
      const { sipPort } = gateway;
      const rest = new Rest(gateway);
      const session = await rest.session();
      const members = await Promise.all(Array.from({ length: CALLS }, () => rest.member(session)));
      const calls: SippCall[] = [];
      for (const [index, { token }] of members.entries()) {
        const phone = index === 0 ? { tone: 700 } : { tone: 440, then: movable };
        calls.push(ended(await placeCall({ sipPort, token, limitS: 60, ...phone })));
      }
      const ports = await Promise.all(calls.map(rtpPortOf));
      // The call of the listener does not move.
      const staying = servers.find((server) => server.owns(ports[0]!))!;
      const stopping = servers.find((server) => server !== staying)!;
      const moving = [...members.keys()].filter((index) => stopping.owns(ports[index]!));
      expect(moving.length).toBeGreaterThan(CALLS / 3);
      const devices = await Promise.all(members.map(({ id }) => rest.unmeasuredDevice(id)));

      await stop(stopping);
      for (const index of moving) {
        const call = calls[index]!;
        const { body } = await call.waitFor('re-INVITE', ({ method }) => method === 'INVITE', MOVED_MS);
        expect(staying.owns(audioAddressOf(body).port)).toBe(true);
        call.tones.start(audioAddressOf(body));
      }
      for (const index of moving) await calls[index]!.tones.hears(700);
      expect(await Promise.all(members.map(({ id }) => rest.unmeasuredDevice(id)))).toEqual(devices);
    },
  );

  it('that dies ends the call of a phone whose keys it had', async () => {
    const servers = [await freeswitch(1), await freeswitch(2)];
    const gateway = await gatewayWith(servers);
    const rest = new Rest(gateway);
    const session = await rest.session();
    const [one, other] = [await rest.member(session), await rest.member(session)];
    const listener = ended(await placeCall({ sipPort: gateway.sipPort, token: other.token, tone: 700 }));
    const uri = `sip:gw@127.0.0.1:${gateway.sipPort};token=${one.token}`;
    const phone = Softphone.baresip({ uri, tone: 500, srtp: true });
    afterwards(() => phone.end());
    await listener.tones.hears(500, 10_000);
    const listenerPort = await rtpPortOf(listener);
    const dying = servers.find((server) => !server.owns(listenerPort))!;
    await dying.kill();
    expect(await endReasonOf(rest, one.id, MOVED_MS)).toBe('lost');
    await listener.tones.stopsHearing(500);
    await until('BYE at the phone', () => /terminated|closed|bye/i.test(phone.output), {
      withinMs: MOVED_MS,
      seen: () => Promise.resolve(phone.output),
    });
  });
});

describe.skipIf(!FREESWITCH_PROGRAM || !DRACHTIO_PROGRAM)(BOTH_TITLE, () => {
  const { freeswitch, gatewayWith, ended, afterwards } = useFreeswitchPool();

  it('moves its calls when drachtio-server is back', async () => {
    const drachtio = await TestDrachtio.start();
    afterwards(() => drachtio.stop());
    const relay = await TcpRelay.start(drachtio.adminPort);
    afterwards(() => relay.stop());
    const servers = [await freeswitch(1), await freeswitch(2)];
    const env = { PATCHBAY_DRACHTIO: drachtio.addressBy(relay.port) };
    const gateway = await gatewayWith(servers, { env });
    const rest = new Rest(gateway);
    const session = await rest.session();
    const [one, other] = [await rest.member(session), await rest.member(session)];
    const { sipPort } = gateway;
    const staying = ended(await placeCall({ sipPort, token: other.token, tone: 700 }));
    const moving = ended(await placeCall({ sipPort, token: one.token, tone: 440, then: movable }));
    await moving.tones.hears(700);
    const movingPort = await rtpPortOf(moving);
    const dying = servers.find((server) => server.owns(movingPort))!;
    expect(dying.owns(await rtpPortOf(staying))).toBe(false);
    const { id } = await rest.device(one.id);

    relay.down();
    await gateway.waitForLog(
      ({ msg }) => msg?.startsWith('The connection to the SIP server is down') ?? false,
    );
    await dying.kill();
    await gateway.waitForLog(({ msg }) => msg === 'FreeSWITCH is down.', MOVED_MS);
    relay.up();
    const { body } = await moving.waitFor('re-INVITE', ({ method }) => method === 'INVITE', MOVED_MS);
    moving.tones.start(audioAddressOf(body));
    await moving.tones.hears(700);
    await staying.tones.hears(440);
    expect((await rest.device(one.id)).id).toBe(id);
  });
});
