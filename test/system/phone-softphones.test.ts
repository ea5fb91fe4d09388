import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startGateway, type TestGateway } from '../support/gateway.js';
import { Rest } from '../support/rest.js';
import { placeCall, type SippCall } from '../support/sipp.js';
import { Softphone } from '../support/softphones.js';
import { until } from '../support/until.js';

const OTHERS = 700;
const MINE = 500;

describe('real softphones', () => {
  let gateway: TestGateway;
  let rest: Rest;
  let session: string;
  let other: SippCall;

  beforeAll(async () => {
    gateway = await startGateway();
    rest = new Rest(gateway);
    session = await rest.session();
    const { token } = await rest.member(session);
    other = await placeCall({ sipPort: gateway.sipPort, token, tone: OTHERS });
  });

  afterAll(async () => {
    await other.end();
    expect(await gateway.stop()).toBe(0);
  });

  const calls: readonly [string, (uri: string) => Softphone, string][] = [
    ['baresip', (uri) => Softphone.baresip({ uri, tone: MINE }), ''],
    [
      'baresip with SRTP over TCP',
      (uri) => Softphone.baresip({ uri, tone: MINE, srtp: true }),
      ';transport=tcp',
    ],
    ['linphone', (uri) => Softphone.linphone({ uri, tone: MINE }), ''],
    ['linphone with SRTP', (uri) => Softphone.linphone({ uri, tone: MINE, srtp: true }), ''],
  ];

  it.each(calls)(
    '%s hears and is heard, and hangs up (livekit/sip #330, #145)',
    async (_name, dial, parameters) => {
      const { id, token } = await rest.member(session);
      const phone = dial(`sip:gw@127.0.0.1:${gateway.sipPort}${parameters};token=${token}`);
      try {
        await other.tones.hears(MINE, 10_000);
        await phone.hangUp();
        expect(phone.heard(OTHERS)).toBe(true);
        expect(phone.heard(1000)).toBe(false);
        await other.tones.stopsHearing(MINE);
        const isGone = (): Promise<boolean> =>
          rest.request('GET', `/participants/${id}/device`).then(
            () => false,
            (error: unknown) => String(error).includes('404'),
          );
        await until('the device is gone', isGone, { withinMs: 5000 });
      } finally {
        await phone.end();
      }
    },
  );
});
