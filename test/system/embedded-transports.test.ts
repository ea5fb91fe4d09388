import { afterAll, describe, expect, it } from 'vitest';
import { makeCertificate } from '../support/certificate.js';
import { MINE, OTHERS, usePhoneRoom } from '../support/phone-room.js';
import { freePort } from '../support/ports.js';
import { phoneOffer, type Scenario } from '../support/sipp.js';
import { Softphone, type SoftphoneCall } from '../support/softphones.js';

// The same port for both address families.
const SIP_PORT = await freePort();
const TLS_PORT = await freePort();

describe('the embedded SIP server', () => {
  const certificate = makeCertificate();
  afterAll(() => certificate.remove());
  const room = usePhoneRoom({
    env: {
      PATCHBAY_SIP_HOST: '127.0.0.1,::1',
      PATCHBAY_SIP_PORT: String(SIP_PORT),
      PATCHBAY_SIP_TLS_CERT: certificate.certFile,
      PATCHBAY_SIP_TLS_KEY: certificate.keyFile,
      PATCHBAY_SIP_TLS_PORT: String(TLS_PORT),
    },
  });

  const softphones: readonly [string, (call: SoftphoneCall) => Softphone][] = [
    ['baresip', (call) => Softphone.baresip(call)],
    ['linphone', (call) => Softphone.linphone(call)],
  ];

  it.each(softphones)(
    'takes a call of %s over TLS with SRTP (livekit/sip #330, #145)',
    async (_name, dial) => {
      const { token } = await room.rest.member(room.session);
      const uri = `sip:gw@127.0.0.1:${TLS_PORT};transport=tls;token=${token}`;
      const phone = dial({ uri, tone: 500, srtp: true, caFile: certificate.certFile });
      try {
        await room.otherCall.tones.hears(500, 10_000);
        await phone.hangUp();
        expect(phone.heard(OTHERS)).toBe(true);
        await room.otherCall.tones.stopsHearing(500);
      } finally {
        await phone.end();
      }
    },
  );

  it('takes a call over IPv6, signalling and media', async () => {
    const host = '::1';
    const sdp = (port: number): string => phoneOffer(port, { host });
    await room.withCall({ host, invite: { sdp } }, async (call) => {
      const answer = await call.final();
      expect(answer.body).toContain('c=IN IP6 ::1');
      expect(answer.header('Contact')).toContain('[::1]');
      await call.tones.hears(OTHERS);
      await room.otherCall.tones.hears(MINE);
      await call.hangUp();
    });
  });

  it('hangs up a call over IPv6', async () => {
    const host = '::1';
    const sdp = (port: number): string => phoneOffer(port, { host });
    const then = (scenario: Scenario): Scenario => scenario.expect(200).ack().waitForBye();
    await room.withCall({ host, invite: { sdp }, then }, async (call, { id }) => {
      await room.rest.disconnectDevice(id);
      expect((await call.hungUp()).header('Via')).toContain('[::1]');
    });
  });
});
