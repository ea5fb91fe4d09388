import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { HAS_KAMAILIO, Kamailio } from '../support/kamailio.js';
import { MINE, OTHERS, usePhoneRoom } from '../support/phone-room.js';
import { phoneOffer, type Steps } from '../support/sipp.js';

describe.skipIf(!HAS_KAMAILIO)('a phone behind Kamailio, which records its route', () => {
  const room = usePhoneRoom();
  let proxy: Kamailio;

  beforeAll(async () => {
    proxy = await Kamailio.start(room.gateway.sipPort);
  });
  afterAll(() => proxy.stop());

  it('talks, holds and resumes, and hangs up', async () => {
    const changed = (port: number, direction: string, version: number) => ({
      body: phoneOffer(port, { direction, version }),
    });
    const then: Steps = (scenario, port) =>
      scenario
        .expect(200)
        .ack()
        .waitForCue()
        .request('INVITE', changed(port, 'sendonly', 2))
        .expect(200)
        .ack()
        .waitForCue()
        .request('UPDATE', changed(port, 'sendrecv', 3))
        .expect(200)
        .waitForCue()
        .bye();
    await room.withCall({ sipPort: proxy.port, then }, async (call) => {
      expect((await call.final()).header('Record-Route')).toContain(`127.0.0.1:${proxy.port}`);
      await call.tones.hears(OTHERS);
      await room.otherCall.tones.hears(MINE);
      await call.cue();
      await call.tones.stopsHearing(OTHERS);
      await call.cue();
      await call.tones.hears(OTHERS);
      await call.hangUp();
    });
  });

  // docs/production.md says why drachtio-server bypasses the proxy.
  it.skipIf(process.env['PATCHBAY_DRACHTIO'])(
    'gets the BYE through the proxy (not with drachtio-server)',
    async () => {
      const then: Steps = (scenario) => scenario.expect(200).ack().waitForBye();
      await room.withCall({ sipPort: proxy.port, then }, async (call, { id }) => {
        await room.rest.disconnectDevice(id);
        expect((await call.hungUp()).headers('Via')).toHaveLength(2);
      });
    },
  );
});
