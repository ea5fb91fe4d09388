import { describe, expect, it } from 'vitest';
import { rtpPortOf, useFreeswitchPool } from '../support/freeswitch-pool.js';
import { Rest } from '../support/rest.js';
import { FREESWITCH_PROGRAM, type TestFreeswitch } from '../support/servers.js';
import { placeCall, placeRefusedCall, type SippCall } from '../support/sipp.js';
import { until } from '../support/until.js';

const TITLE = 'a FreeSWITCH of two (needs PATCHBAY_TEST_FREESWITCH_PROGRAM)';

describe.skipIf(!FREESWITCH_PROGRAM)(TITLE, () => {
  const { freeswitch, gatewayWith, ended } = useFreeswitchPool();

  const refusals: readonly [string, Record<string, string>, (server: TestFreeswitch) => Promise<unknown>][] =
    [
      ['is paused', {}, (server) => server.api('fsctl pause inbound')],
      ['was filled by others', {}, (server) => server.api('fsctl max_sessions 1')],
      ['has no profile', {}, stopProfile],
      [
        'has no ports',
        { FREESWITCH_RTP_FIRST: '61000', FREESWITCH_RTP_LAST: '61001' },
        () => Promise.resolve(),
      ],
    ];

  it.each(refusals)(
    'that %s is passed over; if it is the only one, calls get 503',
    async (_how, env, spoil) => {
      const [spoilt, other] = [await freeswitch(0, env), await freeswitch(2)];
      const gateway = await gatewayWith([spoilt, other]);
      const rest = new Rest(gateway);
      const session = await rest.session();
      await spoil(spoilt);
      const place = async (): Promise<SippCall> => {
        const { token } = await rest.member(session);
        return ended(await placeCall({ sipPort: gateway.sipPort, token, tone: 440 }));
      };
      const calls = [await place(), await place(), await place()];
      for (const call of calls) {
        expect((await call.final()).status).toBe(200);
        expect(other.owns(await rtpPortOf(call))).toBe(true);
      }

      await other.terminate();
      for (const call of calls) await call.hungUp();
      const { token } = await rest.member(session);
      const refusal = await placeRefusedCall({ sipPort: gateway.sipPort, token });
      expect(refusal.status).toBe(503);
      expect(refusal.header('Retry-After')).toMatch(/^\d+/);
    },
  );
});

async function stopProfile(server: TestFreeswitch): Promise<void> {
  let reply = '';
  const state = (): Promise<string> => server.api('sofia status profile drachtio_mrf');
  const gone = async (): Promise<boolean> => {
    reply = await server.api('sofia profile drachtio_mrf stop');
    return !/^Name\s/m.test(await state());
  };
  await until('the profile gone', gone, {
    withinMs: 20_000,
    everyMs: 1000,
    seen: () => Promise.resolve(reply),
  });
}
