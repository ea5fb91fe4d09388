import { describe, expect, it } from 'vitest';
import { OTHERS, usePhoneRoom } from '../support/phone-room.js';
import { Softphone, type SoftphoneCall } from '../support/softphones.js';
import { until } from '../support/until.js';

const SOFTPHONES = 500;

describe('a real softphone', () => {
  const room = usePhoneRoom();

  const calls: readonly [string, (call: SoftphoneCall) => Softphone, string][] = [
    ['baresip with G.711', (call) => Softphone.baresip(call), ''],
    ['baresip with SRTP over TCP', (call) => Softphone.baresip({ ...call, srtp: true }), ';transport=tcp'],
    ['linphone with Opus', (call) => Softphone.linphone(call), ''],
    ['linphone with SRTP', (call) => Softphone.linphone({ ...call, srtp: true }), ''],
  ];

  it.each(calls)(
    '%s hears and is heard, and hangs up (livekit/sip #281, #330, #145)',
    async (_name, dial, parameters) => {
      const { id, token } = await room.rest.member(room.session);
      const uri = `sip:gw@127.0.0.1:${room.gateway.sipPort}${parameters};token=${token}`;
      const phone = dial({ uri, tone: SOFTPHONES });
      try {
        await room.otherCall.tones.hears(SOFTPHONES);
        await phone.hangUp();
        expect(phone.heard(OTHERS)).toBe(true);
        expect(phone.heard(1000)).toBe(false);
        await room.otherCall.tones.stopsHearing(SOFTPHONES);
        const isGone = (): Promise<boolean> =>
          room.rest.device(id).then(
            () => false,
            (error: unknown) => String(error).includes('404'),
          );
        await until('the device is gone', isGone, { withinMs: 20_000 });
      } finally {
        await phone.end();
      }
    },
  );
});
