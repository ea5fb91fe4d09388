import { describe, expect, it } from 'vitest';
import { usePhoneRoom } from '../support/phone-room.js';
import type { TracedMessage } from '../support/sip-message.js';
import { phoneOffer, placeRefusedCall, type SippCall, type Steps } from '../support/sipp.js';

const TIMER = 'Supported: timer';
/** A refresh is due at half of it. */
const LEAST_S = 2;
/** Leaves room for the pause of up to two seconds that follows a 491 (RFC 3261 section 14.1). */
const WITH_GLARE_S = 5;

const answered = (seconds: number): readonly string[] => [
  `Session-Expires: ${seconds};refresher=uac`,
  'Require: timer',
];
const asked = (seconds: number, refresher: string, ...more: string[]) => ({
  headers: [TIMER, `Session-Expires: ${seconds};refresher=${refresher}`, ...more],
});

/** The requests of a method that the gateway sent, repetitions aside. */
function received(call: SippCall, method: string): TracedMessage[] {
  const all = call.messages.filter(
    (message) => message.direction === 'received' && message.method === method,
  );
  return all.filter((message, i) => message.header('CSeq') !== all[i - 1]?.header('CSeq'));
}

// With RFC 4028's shortest interval of 90 s a refresh comes only after 45 s; the soak run tests that.
describe('sessions that are short', () => {
  const room = usePhoneRoom({ alone: true, env: { PATCHBAY_MIN_SE: String(LEAST_S) } });

  it.concurrent('are refreshed by our UPDATE at half their interval, again and again', async () => {
    const then: Steps = (scenario) =>
      scenario
        .expect(200)
        .ack()
        .answer('UPDATE', '200 OK', { headers: answered(LEAST_S) })
        .answer('UPDATE', '200 OK', { headers: answered(LEAST_S) })
        .bye();
    await room.withCall(
      { invite: asked(LEAST_S, 'uas', 'Allow: INVITE, ACK, BYE, UPDATE'), then },
      async (call) => {
        await call.ended();
        for (const update of received(call, 'UPDATE')) {
          expect(update.header('Session-Expires')).toBe(`${LEAST_S};refresher=uac`);
          expect(update.header('Min-SE')).toBe(String(LEAST_S));
          expect(update.body).toBe('');
        }
      },
    );
  });

  it.concurrent('are refreshed by our re-INVITE, once more after a 491 (RFC 3261 section 14.1)', async () => {
    const then: Steps = (scenario, port) =>
      scenario
        .expect(200)
        .ack()
        .answer('INVITE', '491 Request Pending')
        .receive('ACK')
        .answer('INVITE', '200 OK', { body: phoneOffer(port), headers: answered(WITH_GLARE_S) })
        .receive('ACK')
        .bye();
    await room.withCall({ invite: asked(WITH_GLARE_S, 'uas'), then }, async (call) => {
      await call.ended();
      const [refused, taken] = received(call, 'INVITE');
      expect(Number.parseInt(taken!.header('CSeq')!, 10)).toBeGreaterThan(
        Number.parseInt(refused!.header('CSeq')!, 10),
      );
      // The refresh changes nothing: it has the same description with the same version.
      expect(taken!.body).toBe((await call.final()).body);
    });
  });

  it.concurrent('get longer when the phone says so by 422', async () => {
    const then: Steps = (scenario) =>
      scenario
        .expect(200)
        .ack()
        .answer('UPDATE', '422 Session Interval Too Small', { headers: [`Min-SE: ${LEAST_S * 2}`] })
        .answer('UPDATE', '200 OK', { headers: answered(LEAST_S * 2) })
        .bye();
    await room.withCall({ invite: asked(LEAST_S, 'uas', 'Allow: UPDATE'), then }, async (call) => {
      await call.ended();
      const intervals = received(call, 'UPDATE').map((update) => update.header('Session-Expires'));
      expect(intervals).toEqual([LEAST_S, LEAST_S * 2].map((seconds) => `${seconds};refresher=uac`));
    });
  });

  it.concurrent('go on while the phone refreshes them, and end by our BYE when it does not', async () => {
    const refresh = asked(LEAST_S, 'uac');
    const then: Steps = (scenario) =>
      scenario.expect(200).ack().pause(900).request('UPDATE', refresh).expect(200).waitForBye();
    await room.withCall({ invite: refresh, then }, async (call) => {
      expect((await call.hungUp()).header('Reason')).toContain('Session timer expired');
      expect(call.answersTo('UPDATE')).toHaveLength(1);
    });
  });

  it.concurrent('cannot be shorter than is configured', async () => {
    const { token } = await room.rest.member(room.session);
    const refusal = await placeRefusedCall({ sipPort: room.gateway.sipPort, token, invite: asked(1, 'uac') });
    expect([refusal.status, refusal.header('Min-SE')]).toEqual([422, String(LEAST_S)]);
  });
});
