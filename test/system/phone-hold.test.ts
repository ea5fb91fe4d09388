import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type ClientPage, launchChromium, type TestBrowser } from '../support/chromium.js';
import { direct, holdsOnce, limit, MINE, OTHERS, usePhoneRoom } from '../support/phone-room.js';
import { RawPhone } from '../support/raw-phone.js';
import { audioAddressOf } from '../support/sip-message.js';
import { phoneOffer, type Scenario, type SippCall, type Steps } from '../support/sipp.js';
import { until } from '../support/until.js';
import { WebhookReceiver } from '../support/webhook-receiver.js';

type Description = Parameters<typeof phoneOffer>[1];

/** How a phone may hold: the request, its SDP, and whether that answers an offer of ours. */
const HOLDS: readonly { method: 'INVITE' | 'UPDATE'; description: Description; late?: boolean }[] = [
  { method: 'INVITE', description: { direction: 'sendonly' } },
  { method: 'UPDATE', description: { direction: 'inactive' } },
  { method: 'INVITE', description: { host: '0.0.0.0' } },
  // As phones do whose music on hold comes from a server (RFC 7088).
  { method: 'INVITE', description: { direction: 'sendonly' }, late: true },
];

describe('a phone that holds', () => {
  const room = usePhoneRoom();
  let webhooks: WebhookReceiver;
  let chrome: TestBrowser;
  let page: ClientPage;

  beforeAll(async () => {
    [webhooks, chrome] = await Promise.all([WebhookReceiver.start(), launchChromium()]);
    const { token } = await room.rest.member(room.session);
    page = await chrome.openClient({ client: '0.12', token, gatewayUrl: room.gateway.wsUrl });
  });
  afterAll(async () => {
    await chrome.close();
    webhooks.close();
  });

  const events = (id: string): string[] => webhooks.events(id).filter((name) => name !== 'onConnect');
  /** Waits for the ACK, since SIPp loses a cue that comes before it. */
  const acknowledges = async (call: SippCall, count: number): Promise<void> => {
    const acks = (): number =>
      call.messages.filter(({ direction, method }) => direction === 'sent' && method === 'ACK').length;
    await until(`ACK ${count}`, () => acks() >= count, limit);
  };
  const isHeld = async (id: string, held: boolean): Promise<void> => {
    const shown = async (): Promise<boolean> => (await room.rest.device(id)).held === held;
    await until(`held: ${held}`, shown, { ...limit, seen: () => room.rest.device(id) });
  };
  /** Others get nothing of a stream for half a second by another phone's clock. */
  const nobodyGets = async (streamId: string, hertz: number): Promise<void> => {
    const { tones } = room.otherCall;
    // Not just silence: packets that a busy machine holds up would come afterwards.
    const othersOnly = (): boolean => {
      const latest = tones.packetsSince(performance.now() - 200, hertz);
      return latest.with === 0 && latest.without >= 5;
    };
    await Promise.all([until('packets without the tone', othersOnly, limit), page.stopsHearing(hertz)]);
    const received = async (): Promise<number> => (await page.counters(streamId)).audio?.packetsReceived ?? 0;
    const [before, since, goal] = [await received(), performance.now(), tones.packets + 25];
    await until('half a second', () => tones.packets >= goal, limit);
    // Each key press that is forwarded to the browser has seven packets.
    expect(await received()).toBeLessThanOrEqual(before + 7);
    expect(tones.packetsSince(since, hertz).with).toBe(0);
  };
  const allHear = async (hertz: number): Promise<void> => {
    await Promise.all([room.otherCall.tones.hears(hertz), page.hears(hertz)]);
  };

  it('is heard by nobody, and its application is told, for every way to hold (jigasi #248, Janus #1098)', async () => {
    let version = 1;
    const change = (steps: Scenario, method: string, body: string, late: boolean): Scenario => {
      if (late) return steps.waitForCue().request(method).expect(200).ack({ body });
      const answered = steps.waitForCue().request(method, { body }).expect(200);
      return method === 'INVITE' ? answered.ack() : answered;
    };
    const then: Steps = (scenario, port) =>
      HOLDS.reduce((steps, { method, description, late = false }) => {
        const [held, resumed] = [description, {}].map((about) =>
          phoneOffer(port, { ...about, version: (version += 1) }),
        );
        return change(change(steps, method, held!, late), method, resumed!, late);
      }, scenario.expect(200).ack())
        .waitForCue()
        .bye();
    const participant = { callbackUrl: webhooks.url, events: ['hold'] as const };
    await room.withCall({ then, participant }, async (call, { id }) => {
      await allHear(MINE);
      const [stream] = (await room.rest.device(id)).streams;
      expect((await room.rest.device(id)).held).toBe(false);
      for (const n of HOLDS.keys()) {
        await call.cue();
        await isHeld(id, true);
        await nobodyGets(stream!.streamId, MINE);
        call.tones.sendDigit(String(n));
        await webhooks.digitsOf(id, n + 1);
        await call.cue();
        await isHeld(id, false);
        await allHear(MINE);
        await call.tones.hears(OTHERS);
      }
      await call.hangUp();
      await webhooks.event('onLeave', id);
      expect(events(id)).toEqual([...HOLDS.flatMap(() => ['onHold', 'onResume']), 'onLeave']);
      expect(webhooks.digits(id)).toBe('0123');
    });
  });

  it('causes no webhook for applications that did not ask for it', async () => {
    await room.withCall(
      { then: holdsOnce, participant: { callbackUrl: webhooks.url } },
      async (call, { id }) => {
        await acknowledges(call, 1);
        await call.cue();
        await isHeld(id, true);
        await acknowledges(call, 2);
        await call.cue();
        await isHeld(id, false);
        await acknowledges(call, 3);
        await call.hangUp();
        await webhooks.event('onLeave', id);
        expect(events(id)).toEqual(['onLeave']);
      },
    );
  });

  direct('is heard after it, whatever sends the music and with which numbers', async () => {
    const phone = await RawPhone.open();
    const sdp = (): string => phoneOffer(phone.port);
    const then: Steps = (scenario) => holdsOnce(scenario, phone.port);
    try {
      await room.withCall({ invite: { sdp }, then }, async (call, { id }) => {
        const { body } = await call.final();
        call.tones.pause();
        phone.start(audioAddressOf(body));
        await allHear(500);
        await call.cue();
        await isHeld(id, true);
        const phoneIs = { ssrc: phone.ssrc, sequence: phone.sequence, timestamp: phone.timestamp };
        Object.assign(phone, { ssrc: 0x55555555, sequence: 9, timestamp: 99 });
        await phone.later(60);
        // The phone continues its stream, or as a gateway in front of it would.
        Object.assign(phone, { ...phoneIs, sequence: phoneIs.sequence - 3000 });
        await call.cue();
        await isHeld(id, false);
        phone.frequency = 900;
        await allHear(900);
        await call.hangUp();
      });
    } finally {
      phone.close();
    }
  });
});

describe('a phone that holds where PATCHBAY_HELD_AUDIO=pass', () => {
  const room = usePhoneRoom({ env: { PATCHBAY_HELD_AUDIO: 'pass' } });

  it('is heard by the others, and reported to hold', async () => {
    const held: Steps = (scenario, port) =>
      scenario
        .expect(200)
        .ack()
        .request('INVITE', { body: phoneOffer(port, { direction: 'sendonly', version: 2 }) })
        .expect(200)
        .ack()
        .waitForCue()
        .bye();
    await room.withCall({ then: held }, async (call, { id }) => {
      await until('held', async () => (await room.rest.device(id)).held, limit);
      const { tones } = room.otherCall;
      const goal = tones.packets + 25;
      await until('half a second', () => tones.packets >= goal, limit);
      await tones.hears(MINE);
      await call.hangUp();
    });
  });
});
