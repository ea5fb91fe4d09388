import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { launchChromium } from '../support/chromium.js';
import { startGateway, type TestGateway } from '../support/gateway.js';
import { Rest, type TestParticipant } from '../support/rest.js';
import { audioAddressOf } from '../support/sip-message.js';
import { awaitCall, phoneOffer, placeCall, type CallOptions, type SippCall } from '../support/sipp.js';
import { until } from '../support/until.js';
import { WebhookReceiver } from '../support/webhook-receiver.js';

const MEDIA_TIMEOUT_S = 1;
const MAX_CALL_S = 4;

const limit = { withinMs: 5000, everyMs: 10 };

describe('the life of a phone call, with short limits and transfers accepted', () => {
  let gateway: TestGateway;
  let rest: Rest;
  let session: string;
  let webhooks: WebhookReceiver;

  beforeAll(async () => {
    webhooks = await WebhookReceiver.start();
    gateway = await startGateway({
      env: {
        PATCHBAY_MEDIA_TIMEOUT: String(MEDIA_TIMEOUT_S),
        PATCHBAY_MAX_CALL_SECONDS: String(MAX_CALL_S),
        PATCHBAY_SIP_TRANSFERS: 'accept',
      },
    });
    rest = new Rest(gateway);
    session = await rest.session();
  });

  afterAll(async () => {
    webhooks.close();
    expect(await gateway.stop()).toBe(0);
  });

  async function withCall(
    options: Partial<CallOptions>,
    test: (call: SippCall, participant: TestParticipant) => Promise<void>,
  ): Promise<void> {
    const participant = await rest.member(session, { callbackUrl: webhooks.url });
    const call = await placeCall({ sipPort: gateway.sipPort, token: participant.token, ...options });
    try {
      await test(call, participant);
    } finally {
      await call.end();
      await rest.deleteParticipant(participant.id);
    }
  }

  it('ends with a Reason when no media come, also when none ever came', async () => {
    const then: CallOptions['then'] = (scenario) => scenario.expect(200).ack().waitForBye();
    await withCall({ then }, async (call) => {
      call.tones.pause();
      const bye = await call.hungUp();
      expect(bye.header('Reason')).toBe('SIP;cause=408;text="No media came from the phone for too long."');
    });
  });

  it('goes on in a silent room, and on hold, up to its longest duration (livekit/sip #812, #353)', async () => {
    const hold: CallOptions['then'] = (scenario, port) =>
      scenario
        .expect(200)
        .ack()
        .request('INVITE', { body: phoneOffer(port, { direction: 'sendonly', version: 2 }) })
        .expect(200)
        .ack()
        .waitForBye();
    const startedAt = performance.now();
    const silentRoom = withCall(
      { then: (scenario) => scenario.expect(200).ack().waitForBye() },
      async (call) => {
        const bye = await call.hungUp(2000 * MAX_CALL_S);
        expect(bye.header('Reason')).toContain('The call reached its longest duration.');
      },
    );
    const held = withCall({ then: hold }, async (call) => {
      call.tones.pause();
      const bye = await call.hungUp(2000 * MAX_CALL_S);
      expect(bye.header('Reason')).toContain('The call reached its longest duration.');
    });
    await Promise.all([silentRoom, held]);
    expect(performance.now() - startedAt).toBeGreaterThan(1000 * MAX_CALL_S);
  });

  it('tells each digit once: by INFO, by RFC 4733 with any packets lost, or by both (livekit/sip #740)', async () => {
    const losses: ((index: number, count: number) => boolean)[] = [
      () => false,
      (index) => index === 0,
      (index) => index === 2,
      (index, count) => index >= count - 2,
      (index, count) => index >= count - 3,
      (index, count) => index < count - 1,
    ];
    const info = { body: 'Signal=9\nDuration=100', contentType: 'application/dtmf-relay' };
    const then: CallOptions['then'] = (scenario) =>
      scenario.expect(200).ack().waitForCue().request('INFO', info).expect(200).waitForCue().bye();
    await withCall({ then }, async (call, { id }) => {
      const digits = '15*#0D';
      for (const [i, lose] of losses.entries()) {
        call.tones.sendDigit(digits[i]!, { lose });
        await webhooks.digitsOf(id, i + 1);
      }
      expect(webhooks.digits(id)).toBe(digits);
      // The press that comes both ways: an event in the audio, and INFO when the key is let go.
      call.tones.sendDigit('9');
      await webhooks.digitsOf(id, digits.length + 1);
      await call.cue();
      await call.waitFor('answer to INFO', ({ header }) => Boolean(header('CSeq')?.endsWith('INFO')));
      call.tones.sendDigit('2');
      expect(await webhooks.digitsOf(id, digits.length + 2)).toBe(`${digits}92`);
      await call.hangUp();
      await until(
        'onLeave',
        () => webhooks.received.some((each) => each.participantId === id && each.event === 'onLeave'),
        limit,
      );
    });
  });

  it('hears the digits that a browser sends', async () => {
    const browser = await rest.member(session);
    const chromium = await launchChromium();
    try {
      await withCall({}, async (call) => {
        const page = await chromium.openClient({ gatewayUrl: gateway.wsUrl, token: browser.token });
        await page.publishTone(700);
        await call.tones.hears(700);
        await page.sendDtmf('42');
        await until('digits at the phone', () => call.tones.digits.length >= 2, limit);
        expect(call.tones.digits).toBe('42');
      });
    } finally {
      await chromium.close();
    }
  });

  it('answers reliably where the phone requires it (PRACK)', async () => {
    const then: CallOptions['then'] = (scenario) =>
      scenario.expect(183).prack().expect(200).expect(200, 'INVITE').ack().waitForCue().bye();
    await withCall({ then, invite: { headers: ['Require: 100rel'] } }, async (call) => {
      const progress = call.messages.find(({ status }) => status === 183)!;
      expect(progress.header('RSeq')).toMatch(/^\d+$/);
      expect(progress.header('Require')).toContain('100rel');
      expect((await call.final()).body).toBe(progress.body);
      await call.hangUp();
    });
  });

  it('cancelled before the answer leaves nothing behind (livekit/sip #106)', async () => {
    // An answer that waits for a PRACK gives the CANCEL its time.
    const then: CallOptions['then'] = (scenario) =>
      scenario.expect(183).cancel().expect(200).expect(487, 'INVITE').ackRefusal();
    await withCall({ then, invite: { headers: ['Require: 100rel'] } }, async (call, { id, token }) => {
      expect((await call.final()).status).toBe(487);
      await call.ended();
      await expect(rest.request('GET', `/participants/${id}/device`)).rejects.toThrow('404');
      const again = await placeCall({ sipPort: gateway.sipPort, token });
      await again.hangUp();
      await again.end();
    });
  });

  it('is transferred away by REFER, with the NOTIFYs that it is owed (livekit/sip #91, #234, #626)', async () => {
    const listener = await rest.member(session);
    const listening = await placeCall({ sipPort: gateway.sipPort, token: listener.token, tone: 700 });
    const target = await awaitCall({
      sipPort: gateway.sipPort,
      tone: 1000,
      then: (scenario, port) => scenario.answerInvite('200 OK', phoneOffer(port)).waitForBye(),
    });
    const notify = '200 OK';
    const then: CallOptions['then'] = (scenario) =>
      scenario
        .expect(200)
        .ack()
        .waitForCue()
        .request('REFER', { headers: [`Refer-To: <sip:phone@127.0.0.1:${target.port}>`] })
        .expect(202)
        .answer('NOTIFY', notify)
        .answer('NOTIFY', notify)
        .waitForBye();
    try {
      await withCall({ then }, async (call, { id }) => {
        await listening.tones.hears(440);
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
        await listening.tones.hears(1000);
        await target.tones.hears(700);
        await rest.request('DELETE', `/participants/${id}/device`);
        expect((await target.hungUp()).header('Reason')).toContain('The application ended the call.');
      });
    } finally {
      await Promise.all([listening.end(), target.end()]);
      await rest.deleteParticipant(listener.id);
    }
  });

  it('stays with the phone when the target of a transfer refuses', async () => {
    const target = await awaitCall({
      sipPort: gateway.sipPort,
      tone: 1000,
      then: (scenario) => scenario.answerInvite('486 Busy Here'),
    });
    const then: CallOptions['then'] = (scenario) =>
      scenario
        .expect(200)
        .ack()
        .request('REFER', { headers: [`Refer-To: <sip:phone@127.0.0.1:${target.port}>`] })
        .expect(202)
        .answer('NOTIFY', '200 OK')
        .answer('NOTIFY', '200 OK')
        .waitForCue()
        .bye();
    try {
      await withCall({ then }, async (call) => {
        const isLast = ({ method, body }: { method?: string; body: string }): boolean =>
          method === 'NOTIFY' && body === 'SIP/2.0 486 Busy Here';
        await call.waitFor('the last NOTIFY', isLast);
        await call.hangUp();
      });
    } finally {
      await target.end();
    }
  });
});
