import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { launchChromium } from '../support/chromium.js';
import { limit, MINE, OTHERS, usePhoneRoom } from '../support/phone-room.js';
import { audioAddressOf } from '../support/sip-message.js';
import { phoneOffer, type SippCall, type Steps } from '../support/sipp.js';
import { until } from '../support/until.js';
import { WebhookReceiver } from '../support/webhook-receiver.js';

/** Which packets of a key press get lost on the way: none, the first, a middle one, the last ones, all but one. */
const LOSSES: readonly ((index: number, count: number) => boolean)[] = [
  () => false,
  (index) => index === 0,
  (index) => index === 2,
  (index, count) => index >= count - 2,
  (index, count) => index >= count - 3,
  (index, count) => index < count - 1,
];

/** One for each loss. */
const DIGITS = '15*#0D';

describe('the digits of a phone', () => {
  const room = usePhoneRoom({ alone: true });
  let webhooks: WebhookReceiver;

  beforeAll(async () => {
    webhooks = await WebhookReceiver.start();
  });
  afterAll(() => webhooks.close());

  const told = (): { participant: { callbackUrl: string } } => ({
    participant: { callbackUrl: webhooks.url },
  });

  it('are reported once each: by INFO, by RFC 4733 with any packets lost, or by both (livekit/sip #740)', async () => {
    const info = { body: 'Signal=9\nDuration=100', contentType: 'application/dtmf-relay' };
    const then: Steps = (scenario) =>
      scenario.expect(200).ack().waitForCue().request('INFO', info).expect(200).waitForCue().bye();
    await room.withCall({ ...told(), then }, async (call, { id }) => {
      await mediaUp(call);
      for (const [i, lose] of LOSSES.entries()) {
        call.tones.sendDigit(DIGITS[i]!, { lose });
        await webhooks.digitsOf(id, i + 1);
      }
      expect(webhooks.digits(id)).toBe(DIGITS);
      // A press that comes both ways: an event in the RTP, and INFO when the key is released.
      call.tones.sendDigit('9');
      await webhooks.digitsOf(id, DIGITS.length + 1);
      await call.cue();
      await call.answerTo('INFO', 1);
      call.tones.sendDigit('2');
      expect(await webhooks.digitsOf(id, DIGITS.length + 2)).toBe(`${DIGITS}92`);
      await call.hangUp();
      await webhooks.event('onLeave', id);
    });
  });

  it('are reported when they come by INFO only, in either body (livekit/sip #740, #331, Janus PR 453)', async () => {
    const then: Steps = (scenario) =>
      scenario
        .expect(200)
        .ack()
        .request('INFO', { body: 'Signal=5\nDuration=160', contentType: 'application/dtmf-relay' })
        .expect(200)
        .request('INFO', { body: '#', contentType: 'application/dtmf' })
        .expect(200)
        .request('INFO', { body: 'Signal=10\nDuration=160', contentType: 'application/dtmf-relay' })
        .expect(200)
        .waitForCue()
        .bye();
    await room.withCall({ ...told(), then }, async (call, { id }) => {
      expect(await webhooks.digitsOf(id, 3)).toBe('5#*');
      await call.hangUp();
    });
  });

  it('are understood in the payload type that a re-INVITE changed (Janus #1591)', async () => {
    const changed = (port: number): string => phoneOffer(port, { version: 2 }).replaceAll('101', '97');
    const then: Steps = (scenario, port) =>
      scenario
        .expect(200)
        .ack()
        .waitForCue()
        .request('INVITE', { body: changed(port) })
        .expect(200)
        .ack()
        .waitForCue()
        .bye();
    await room.withCall({ ...told(), then }, async (call, { id }) => {
      await mediaUp(call);
      call.tones.sendDigit('1');
      await webhooks.digitsOf(id, 1);
      await call.cue();
      const { body } = await call.answerTo('INVITE', 2);
      expect(body).toContain('a=rtpmap:97 telephone-event/8000');
      call.tones.start(audioAddressOf(body));
      call.tones.eventType = 97;
      call.tones.sendDigit('2');
      expect(await webhooks.digitsOf(id, 2)).toBe('12');
      await call.hangUp();
    });
  });

  it('that a browser sends reach the phone', async () => {
    const browser = await room.rest.member(room.session);
    const chromium = await launchChromium();
    try {
      await room.withCall({}, async (call) => {
        const page = await chromium.openClient({ gatewayUrl: room.gateway.wsUrl, token: browser.token });
        await page.publishTone(OTHERS);
        await call.tones.hears(OTHERS);
        await page.sendDtmf('42');
        await until('digits at the phone', () => call.tones.digits.length >= 2, limit);
        expect(call.tones.digits).toBe('42');
        await call.hangUp();
      });
    } finally {
      await chromium.close();
    }
  });

  it('that the application sends reach the phone, as telephone events', async () => {
    await room.withCall({}, async (call, { id }) => {
      await mediaUp(call);
      await room.rest.request('POST', `/participants/${id}/device/dtmf`, { digits: '123#' });
      await until('digits at the phone', () => call.tones.digits.length >= 4, limit);
      await room.rest.request('POST', `/participants/${id}/device/dtmf`, {
        digits: '0*',
        durationMs: 60,
        gapMs: 80,
      });
      await until('digits at the phone', () => call.tones.digits.length >= 6, limit);
      expect(call.tones.digits).toBe('123#0*');
      await call.hangUp();
    });
  });

  it('that the application sends are played to a phone without telephone events', async () => {
    const sdp = (port: number): string =>
      phoneOffer(port)
        .replace(/ 101\r\n/, '\r\n')
        .replace(/a=(rtpmap|fmtp):101.*\r\n/g, '');
    await room.withCall({ invite: { sdp } }, async (call, { id }) => {
      await mediaUp(call);
      await room.rest.request('POST', `/participants/${id}/device/dtmf`, {
        digits: '6666',
        durationMs: 2000,
      });
      // Q.23: 770 and 1477 Hz.
      await call.tones.hears(770);
      await call.tones.hears(1477);
      expect(call.tones.digits).toBe('');
      await call.hangUp();
    });
  });

  it('are refused for a browser, which takes none, and without a device', async () => {
    const { id, token } = await room.rest.member(room.session);
    const send = (): Promise<unknown> =>
      room.rest.request('POST', `/participants/${id}/device/dtmf`, { digits: '1' });
    await expect(send()).rejects.toThrow(/404 .*PATCHBAY_DEVICE_NOT_FOUND/);
    const chromium = await launchChromium();
    try {
      await chromium.openClient({ gatewayUrl: room.gateway.wsUrl, token });
      await expect(send()).rejects.toThrow(/409 .*PATCHBAY_DEVICE_CANNOT/);
    } finally {
      await chromium.close();
    }
  });

  it('that another phone presses reach the phone, whatever packets of them are lost', async () => {
    await room.withCall({}, async (presser) => {
      await room.withCall({}, async (call) => {
        await Promise.all([presser, call].map(({ tones }) => tones.hears(MINE)));
        for (const [i, lose] of LOSSES.entries()) {
          presser.tones.sendDigit(DIGITS[i]!, { lose });
          await until('the digit at the phone', () => call.tones.digits.length > i, limit);
        }
        expect(call.tones.digits).toBe(DIGITS);
        await call.hangUp();
      });
      await presser.hangUp();
    });
  });
});

/** FreeSWITCH bridges a phone after its answer; digits before that are lost. */
async function mediaUp({ tones }: SippCall): Promise<void> {
  await until('sound at the phone', () => tones.packets > 0, limit);
}
