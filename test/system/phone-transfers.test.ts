import { describe, expect, it } from 'vitest';
import { direct, MINE, OTHERS, usePhoneRoom } from '../support/phone-room.js';
import { audioAddressOf, type TracedMessage } from '../support/sip-message.js';
import { awaitCall, phoneOffer, type Scenario, type SippCall, type Steps } from '../support/sipp.js';
import { PCMA } from '../support/tone-socket.js';
import { WebhookReceiver } from '../support/webhook-receiver.js';

const TARGETS = 1000;

/** A call, up to its REFER to a target and the first NOTIFY. */
const refer = (scenario: Scenario, target: SippCall, more = ''): Scenario =>
  scenario
    .request('REFER', { headers: [`Refer-To: <sip:phone@127.0.0.1:${target.port}${more}>`] })
    .expect(202)
    .answer('NOTIFY', '200 OK');

describe('a transfer by REFER', () => {
  const room = usePhoneRoom({ env: { PATCHBAY_SIP_TRANSFERS: 'accept' } });

  /** The target of the transfer, which sends the tone {@link TARGETS}. */
  async function withTarget(then: Steps, test: (target: SippCall) => Promise<void>): Promise<void> {
    const target = await awaitCall({ sipPort: room.gateway.sipPort, tone: TARGETS, then });
    try {
      await test(target);
    } finally {
      await target.end();
    }
  }

  it('moves the call to the target, with all NOTIFYs (livekit/sip #91, #234, #626)', async () => {
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

  it('calls as Refer-To asks, and takes a description that comes in the 183 only (pjproject #1397)', async () => {
    const answers: Steps = (scenario, port) => scenario.answerInviteEarly(phoneOffer(port)).waitForBye();
    await withTarget(answers, async (target) => {
      const asked =
        ';method=INVITE?User-to-User=6869%3Bencoding%3Dhex&X-Order=42&Route=%3Csip%3A192.0.2.1%3E';
      const then: Steps = (scenario) =>
        refer(scenario.expect(200).ack(), target, asked).answer('NOTIFY', '200 OK').waitForBye();
      await room.withCall({ then }, async (call, { id }) => {
        const invite = await target.waitFor('INVITE', ({ method }) => method === 'INVITE');
        expect(invite.startLine).toBe(`INVITE sip:phone@127.0.0.1:${target.port} SIP/2.0`);
        expect(invite.header('User-to-User')).toBe('6869;encoding=hex');
        expect(invite.header('X-Order')).toBe('42');
        expect(invite.header('Route')).toBeUndefined();
        expect(invite.header('Referred-By')).toContain('sip:+15555550100@');
        target.tones.start(audioAddressOf(invite.body));
        await call.hungUp();
        await room.otherCall.tones.hears(TARGETS);
        await target.tones.hears(OTHERS);
        await room.rest.disconnectDevice(id);
        await target.hungUp();
      });
    });
  });

  direct('hears each codec that its target agreed to, and digits by either side’s number', async () => {
    const webhooks = await WebhookReceiver.start();
    const answer = (port: number): string => phoneOffer(port).replaceAll(/\b101\b/g, '97');
    const answers: Steps = (scenario, port) => scenario.answerInvite('200 OK', answer(port)).waitForBye();
    await withTarget(answers, async (target) => {
      const then: Steps = (scenario) =>
        refer(scenario.expect(200).ack(), target).answer('NOTIFY', '200 OK').waitForBye();
      const participant = { callbackUrl: webhooks.url };
      await room.withCall({ then, participant }, async (call, { id }) => {
        const { body } = await target.waitFor('INVITE', ({ method }) => method === 'INVITE');
        const [, ours] = /^a=rtpmap:(\d+) telephone-event\/8000/m.exec(body)!;
        target.tones.codec = PCMA;
        target.tones.start(audioAddressOf(body));
        await call.hungUp();
        await room.otherCall.tones.hears(TARGETS);
        target.tones.eventType = Number(ours);
        target.tones.sendDigit('1');
        expect(await webhooks.digitsOf(id, 1)).toBe('1');
        target.tones.eventType = 97;
        target.tones.sendDigit('2');
        expect(await webhooks.digitsOf(id, 2)).toBe('12');
        await room.rest.disconnectDevice(id);
        await target.hungUp();
      });
    }).finally(() => webhooks.close());
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

  it('has the phone’s re-INVITE refused with 491 while the target rings, since our offer is open', async () => {
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
