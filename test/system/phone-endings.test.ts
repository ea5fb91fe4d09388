import { describe, expect, it } from 'vitest';
import { direct, limit, MINE, OTHERS, usePhoneRoom } from '../support/phone-room.js';
import { phoneOffer, placeCall, type Steps } from '../support/sipp.js';
import { until } from '../support/until.js';

const MEDIA_TIMEOUT_S = 1;
const MAX_CALL_S = 4;
const NOISE_DB = 45;

const untilBye: Steps = (scenario) => scenario.expect(200).ack().waitForBye();

describe('a phone call ends', () => {
  const room = usePhoneRoom({ alone: true });

  /** Why the participant's usage record says that it ended. */
  async function recordedEnd(participantId: string): Promise<string | undefined> {
    const report = await room.rest.request('GET', '/usage?limit=1000');
    const { items } = report as { items: { participantId: string; endReason?: string }[] };
    return items.find((item) => item.participantId === participantId)?.endReason;
  }

  const endings: readonly [string, string, string, (id: string, session: string) => Promise<unknown>][] = [
    [
      'when its participant is deleted',
      'SIP;cause=404;text="The participant was deleted."',
      'participant-deleted',
      (id) => room.rest.deleteParticipant(id),
    ],
    [
      'when the application disconnects its device',
      'SIP;cause=200;text="The application ended the call."',
      'disconnected',
      (id) => room.rest.disconnectDevice(id),
    ],
  ];

  it.each(endings)(
    'by BYE with a Reason %s, and the record says it (livekit/sip #316, #294)',
    async (_when, reason, recorded, end) => {
      await room.withCall({ then: untilBye }, async (call, { id }) => {
        await end(id, room.session);
        expect((await call.hungUp()).header('Reason')).toBe(reason);
        expect(await recordedEnd(id)).toBe(recorded);
      });
    },
  );

  it('by BYE when its session is deleted', async () => {
    const session = await room.rest.session();
    const { id, token } = await room.rest.member(session);
    const call = await placeCall({ sipPort: room.gateway.sipPort, token, then: untilBye });
    try {
      await room.rest.deleteSession(session);
      expect((await call.hungUp()).header('Reason')).toBe('SIP;cause=404;text="The session was deleted."');
      expect(await recordedEnd(id)).toBe('session-deleted');
    } finally {
      await call.end();
    }
  });

  it('and its participant may call again', async () => {
    await room.withCall({ then: untilBye }, async (call, { id, token }) => {
      await room.rest.disconnectDevice(id);
      await call.hungUp();
      const again = await placeCall({ sipPort: room.gateway.sipPort, token });
      await again.hangUp();
      await again.end();
      expect(await recordedEnd(id)).toBeDefined();
    });
  });

  it('by a BYE with the headers that the application gave, also when all is deleted (livekit/sip #404, #220)', async () => {
    await room.withCall({ then: untilBye }, async (call, { id }) => {
      const byeHeaders = { 'X-Result': 'sold', 'X-Order': '42' };
      await room.rest.request('PATCH', `/participants/${id}/device`, { byeHeaders });
      await room.rest.deleteParticipant(id);
      const bye = await call.hungUp();
      expect([bye.header('X-Result'), bye.header('X-Order')]).toEqual(['sold', '42']);
      expect(bye.header('Reason')).toContain('The participant was deleted.');
    });
  });

  it('by a BYE that waits for the ACK (RFC 3261 section 15)', async () => {
    const then: Steps = (scenario) => scenario.expect(200).pause(400).ack().waitForBye();
    await room.withCall({ then }, async (call, { id }) => {
      await room.rest.disconnectDevice(id);
      await call.hungUp();
      const methods = call.messages.flatMap(({ method }) => method ?? []);
      expect(methods).toEqual(['INVITE', 'ACK', 'BYE']);
    });
  });

  it('by a BYE that is repeated until it is answered (livekit/sip #112)', async () => {
    const then: Steps = (scenario) => scenario.expect(200).ack().receive('BYE').pause(20_000);
    await room.withCall({ then }, async (call, { id }) => {
      await room.rest.deleteParticipant(id);
      const byes = (): number => call.messages.filter(({ method }) => method === 'BYE').length;
      await until('three BYEs', () => byes() >= 3, { withinMs: 20_000 });
    });
  });

  it('and is counted by outcome and reason, with the time that it took to answer', async () => {
    const response = await fetch(`${room.gateway.httpUrl}/metrics`);
    const metrics = await response.text();
    expect(metrics).toContain('patchbay_calls_total{outcome="success",reason="participant-deleted"} ');
    expect(metrics).toContain('patchbay_calls_total{outcome="success",reason="disconnected"} ');
    const answered = /^patchbay_call_setup_seconds_count (\d+)$/m.exec(metrics)?.[1];
    expect(Number(answered)).toBeGreaterThanOrEqual(6);
    expect(metrics).toContain('\npatchbay_calls 0\n');
  });
});

describe('a phone call with short limits', () => {
  const room = usePhoneRoom({
    alone: true,
    env: {
      PATCHBAY_MEDIA_TIMEOUT: String(MEDIA_TIMEOUT_S),
      PATCHBAY_MAX_CALL_SECONDS: String(MAX_CALL_S),
    },
  });

  it('ends with a Reason when no media come, also when none ever came', async () => {
    await room.withCall({ then: untilBye }, async (call) => {
      call.tones.pause();
      const bye = await call.hungUp();
      expect(bye.header('Reason')).toBe('SIP;cause=408;text="No media came from the phone for too long."');
    });
  });

  it('goes on in a silent room, and on hold, up to its longest duration (livekit/sip #812, #353)', async () => {
    const held: Steps = (scenario, port) =>
      scenario
        .expect(200)
        .ack()
        .request('INVITE', { body: phoneOffer(port, { direction: 'sendonly', version: 2 }) })
        .expect(200)
        .ack()
        .waitForBye();
    const startedAt = performance.now();
    const toTheEnd = (then: Steps, silent: boolean): Promise<void> =>
      room.withCall({ then }, async (call) => {
        if (silent) call.tones.pause();
        const bye = await call.hungUp(2000 * MAX_CALL_S);
        expect(bye.header('Reason')).toContain('The call reached its longest duration.');
      });
    await Promise.all([toTheEnd(untilBye, false), toTheEnd(held, true)]);
    expect(performance.now() - startedAt).toBeGreaterThan(1000 * MAX_CALL_S);
  });
});

describe('a phone that sends comfort noise', () => {
  const room = usePhoneRoom({ alone: true, env: { PATCHBAY_MEDIA_TIMEOUT: String(MEDIA_TIMEOUT_S) } });

  direct('gets it too, is heard as noise of its level, and is not hung up in its silence', async () => {
    const sdp = (port: number): string => phoneOffer(port).replace(/m=audio .*/, '$& 13');
    await room.withCall({ invite: { sdp } }, async (quiet) => {
      const { body } = await quiet.final();
      expect(body).toContain('a=rtpmap:13 CN/8000');
      // Nobody else is there: a mix without a sound.
      await until('comfort noise', () => (quiet.tones.received.get(13) ?? 0) > 1, limit);
      await room.withCall({ tone: OTHERS }, async (listener) => {
        const { body: answer } = await listener.final();
        expect(answer).not.toContain('CN/8000');
        await listener.tones.hears(MINE);
        quiet.tones.pause();
        quiet.tones.sendComfortNoise(NOISE_DB);
        await until('noise', () => Math.abs(listener.tones.loudness() + NOISE_DB) < 1.5, limit);
        const { packets } = listener.tones;
        const muchLonger = (3 * 1000 * MEDIA_TIMEOUT_S) / 20;
        await until('a long silence', () => listener.tones.packets - packets > muchLonger, limit);
        expect(Math.abs(listener.tones.loudness() + NOISE_DB)).toBeLessThan(1.5);
        await quiet.hangUp();
        await listener.hangUp();
      });
    });
  });
});
