import { describe, expect, it } from 'vitest';
import { MINE, OTHERS, usePhoneRoom } from '../support/phone-room.js';
import { audioAddressOf, type TracedMessage } from '../support/sip-message.js';
import { awaitCall, phoneOffer, type Scenario, type SippCall, type Steps } from '../support/sipp.js';

const TARGETS = 1000;

/** A call, up to the REFER that sends its other end to a target, and the first NOTIFY. */
const refer = (scenario: Scenario, target: SippCall): Scenario =>
  scenario
    .request('REFER', { headers: [`Refer-To: <sip:phone@127.0.0.1:${target.port}>`] })
    .expect(202)
    .answer('NOTIFY', '200 OK');

describe('a transfer by REFER', () => {
  const room = usePhoneRoom({ env: { PATCHBAY_SIP_TRANSFERS: 'accept' } });

  /** Someone to transfer to, who says {@link TARGETS}. */
  async function withTarget(then: Steps, test: (target: SippCall) => Promise<void>): Promise<void> {
    const target = await awaitCall({ sipPort: room.gateway.sipPort, tone: TARGETS, then });
    try {
      await test(target);
    } finally {
      await target.end();
    }
  }

  it('moves the call to the target, with the NOTIFYs that are owed (livekit/sip #91, #234, #626)', async () => {
    const answers: Steps = (scenario, port) => scenario.answerInvite('200 OK', phoneOffer(port)).waitForBye();
    await withTarget(answers, async (target) => {
      const then: Steps = (scenario) =>
        refer(scenario.expect(200).ack().waitForCue(), target).answer('NOTIFY', '200 OK').waitForBye();
      await room.withCall({ then }, async (call, { id }) => {
        await room.otherCall.tones.hears(MINE);
        await call.cue();
        const invite = await target.waitFor('INVITE', ({ method }) => method === 'INVITE');
        target.tones.start(audioAddressOf(invite.body));
        const bye = await call.hungUp();
        expect(bye.header('Reason')).toContain('transferred');
        const notifies = call.messages.filter(({ method }) => method === 'NOTIFY');
        expect(notifies.map(({ body }) => body)).toEqual(['SIP/2.0 100 Trying', 'SIP/2.0 200 OK']);
        expect(notifies.map((each) => each.header('Subscription-State')!.split(';')[0])).toEqual([
          'active',
          'terminated',
        ]);
        await room.otherCall.tones.hears(TARGETS);
        await target.tones.hears(OTHERS);
        await room.rest.disconnectDevice(id);
        expect((await target.hungUp()).header('Reason')).toContain('The application ended the call.');
      });
    });
  });

  it('that the target refuses leaves the call with the phone, and says why at once (livekit/sip #481)', async () => {
    await withTarget(
      (scenario) => scenario.answerInvite('486 Busy Here'),
      async (target) => {
        const then: Steps = (scenario) =>
          refer(scenario.expect(200).ack(), target).answer('NOTIFY', '200 OK').waitForCue().bye();
        await room.withCall({ then }, async (call) => {
          const isLast = ({ method, body }: TracedMessage): boolean =>
            method === 'NOTIFY' && body === 'SIP/2.0 486 Busy Here';
          await call.waitFor('the last NOTIFY', isLast);
          await call.tones.hears(OTHERS);
          await call.hangUp();
        });
      },
    );
  });

  it('has the phone’s re-INVITE refused with 491 while the target rings: our offer is with it', async () => {
    const ringsUntilCue: Steps = (scenario) => scenario.ringUntilCue('486 Busy Here');
    await withTarget(ringsUntilCue, async (target) => {
      const again = (port: number) => ({ body: phoneOffer(port, { version: 2 }) });
      const then: Steps = (scenario, port) =>
        refer(scenario.expect(200).ack(), target)
          .waitForCue()
          .request('INVITE', again(port))
          .expect(491)
          .ackRefusal()
          .answer('NOTIFY', '200 OK')
          .request('INVITE', again(port))
          .expect(200)
          .ack()
          .waitForCue()
          .bye();
      await room.withCall({ then }, async (call) => {
        await target.waitFor('INVITE', ({ method }) => method === 'INVITE');
        await call.cue();
        await call.waitFor('491', ({ status }) => status === 491);
        await target.cue();
        await call.answerTo('INVITE', 2);
        await call.tones.hears(OTHERS);
        await call.hangUp();
      });
    });
  });
});
