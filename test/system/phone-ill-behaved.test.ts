import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { type ClientPage, launchChromium, type TestBrowser } from '../support/chromium.js';
import { direct, limit, usePhoneRoom } from '../support/phone-room.js';
import { OPUS, RawPhone } from '../support/raw-phone.js';
import { audioAddressOf } from '../support/sip-message.js';
import { phoneOffer, type SippCall, type Steps } from '../support/sipp.js';
import { until } from '../support/until.js';
import { WebhookReceiver } from '../support/webhook-receiver.js';

const BROWSER_RATE = 48_000;

// With FreeSWITCH the gateway gets RTP that FreeSWITCH has made anew.
describe('a phone whose RTP deviates from the RFCs', () => {
  vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });
  const room = usePhoneRoom({ alone: true });
  let webhooks: WebhookReceiver;
  let chrome: TestBrowser;
  let page: ClientPage;
  let phone: RawPhone;

  beforeAll(async () => {
    [webhooks, chrome] = await Promise.all([WebhookReceiver.start(), launchChromium()]);
    const { token } = await room.rest.member(room.session);
    page = await chrome.openClient({ client: '0.12', token, gatewayUrl: room.gateway.wsUrl });
  });
  afterAll(async () => {
    await chrome.close();
    webhooks.close();
  });
  beforeEach(async () => {
    phone = await RawPhone.open();
    return () => phone.close();
  });

  /** A call of it; without an SDP of its own it offers PCMU, PCMA and telephone-event 101. */
  const withCall = async (
    test: (id: string, call: SippCall) => Promise<void>,
    options: { sdp?: () => string | undefined; then?: Steps } = {},
  ): Promise<void> => {
    const { sdp = () => phoneOffer(phone.port), then } = options;
    const participant = { callbackUrl: webhooks.url };
    await room.withCall({ invite: { sdp }, participant, ...(then && { then }) }, async (call, { id }) => {
      const { body } = await call.final();
      call.tones.pause();
      phone.start(audioAddressOf(body));
      await test(id, call);
      await call.hangUp();
    });
  };
  const counters = async (): Promise<{ received: number; concealed: number; said: number }> => {
    const [stream] = await page.streams();
    const { audio } = await page.counters(stream!.streamId);
    return { received: audio!.packetsReceived, concealed: audio!.concealedSamples, said: phone.packets };
  };
  /** A browser got nearly all of 2 s of audio after a change, and concealed hardly anything. */
  const isHeardOver = async (change: () => void): Promise<void> => {
    const before = await counters();
    change();
    await phone.later(100);
    const after = await counters();
    expect(after.received - before.received).toBeGreaterThan((after.said - before.said) * 0.8);
    expect(after.concealed - before.concealed).toBeLessThan(BROWSER_RATE / 2);
  };

  direct('is heard by browsers over sequence numbers and timestamps that start elsewhere', async () => {
    await withCall(async () => {
      phone.stray(phone.sequence + 5000);
      await page.hears(500);
      await phone.later(50);
      await isHeardOver(() => (phone.sequence -= 5000));
      await isHeardOver(() => phone.stray(phone.sequence + 5000));
      await isHeardOver(() => {
        phone.sequence = 3;
        phone.timestamp = 7;
      });
      await isHeardOver(() => (phone.timestamp -= 40_000));
      await isHeardOver(() => (phone.timestamp -= 8000));
      await isHeardOver(() => (phone.timestamp += 40_000));
      phone.frequency = 900;
      await page.hears(900);
    });
  });

  it('is told each key once, whatever its timestamps and SSRCs do', async () => {
    await withCall(async (id) => {
      // FreeSWITCH bridges a phone behind its answer; what is pressed before that is nobody's.
      await until('sound at the phone', () => phone.received > 0, limit);
      const told = async (digits: string): Promise<void> => {
        await phone.later(15);
        expect(await webhooks.digitsOf(id, digits.length)).toBe(digits);
      };
      await phone.later(10);
      phone.press('1');
      await told('1');
      phone.timestamp -= 0x30000000;
      phone.ssrc += 1;
      await phone.later(10);
      phone.press('2');
      await told('12');
      phone.timestamp -= 28_800_000;
      await phone.later(10);
      phone.press('3');
      await told('123');
      // The last two ends (rtpengine #1812), and every packet (peers #7) have timestamps of their own.
      for (const [digit, from] of [
        ['4', 4],
        ['7', 0],
      ] as const) {
        phone.pressMoving(digit, from);
        await told(`1234${digit === '7' ? '7' : ''}`);
      }
      // All presses have one timestamp (Doubango #374).
      for (const digit of '125555') {
        phone.press(digit, 0x3200);
        await phone.later(10);
      }
      await told('12347125555');
      // Events on an SSRC of their own, beside audio that goes on (rtpengine #1569).
      for (const [n, digit] of ['8', '9'].entries()) {
        await phone.pressBeside(digit, 100 + 10 * n, 1_000_000 + 8000 * n);
        await phone.later(5);
      }
      await told('1234712555589');
    });
  });

  direct('is as loud in packets of 120 ms of Opus as in those of 20 ms', async () => {
    const sdp = (): string =>
      phoneOffer(phone.port)
        .replace('RTP/AVP 0 8 101', 'RTP/AVP 96 101')
        .replace('a=rtpmap:0 PCMU/8000', 'a=rtpmap:96 opus/48000/2');
    phone.payloadType = OPUS;
    await withCall(
      async () => {
        await page.hears(500);
        await phone.later(60);
        const short = await page.hears(500);
        phone.opusMs = 120;
        await phone.later(25);
        // On a busy machine the page's jitter buffer takes longer to fit the larger packets, and conceals meanwhile.
        const isAsLoud = async (): Promise<boolean> =>
          Math.abs((await page.hears(500)).levelDb - short.levelDb) < 3;
        await until('the level of packets of 20 ms', isAsLoud, limit);
      },
      { sdp },
    );
  });

  direct('is heard in each codec and number of our offer, and in its own', async () => {
    const answer = (): string =>
      phoneOffer(phone.port).replace('RTP/AVP 0 8 101', 'RTP/AVP 0 8 96').replaceAll(':101', ':96');
    const then: Steps = (scenario) => scenario.expect(200).ack({ body: answer() }).waitForCue().bye();
    await withCall(
      async (id) => {
        phone.payloadType = 8;
        phone.frequency = 650;
        await page.hears(650);
        phone.press('1');
        await webhooks.digitsOf(id, 1);
        phone.press('2', phone.timestamp, 96);
        expect(await webhooks.digitsOf(id, 2)).toBe('12');
        phone.payloadType = 0;
        phone.frequency = 800;
        await page.hears(800);
      },
      { sdp: () => undefined, then },
    );
  });
});
