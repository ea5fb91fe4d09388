import { describe, expect, it } from 'vitest';
import { limit, MINE, OTHERS, usePhoneRoom } from '../support/phone-room.js';
import { audioAddressOf } from '../support/sip-message.js';
import { phoneOffer } from '../support/sipp.js';
import { PCMA, ToneSocket } from '../support/tone-socket.js';
import { until } from '../support/until.js';

describe('a phone that changes its call', () => {
  const room = usePhoneRoom();

  it.each(['INVITE', 'UPDATE'])(
    'holds and resumes in every spelling by %s (livekit/sip #779, #96, #552, #716, Janus #3455)',
    async (method) => {
      const holds = [
        (port: number) => phoneOffer(port, { direction: 'sendonly', version: 2 }),
        (port: number) => phoneOffer(port, { direction: 'inactive', version: 4 }),
        (port: number) => phoneOffer(port, { host: '0.0.0.0', version: 6 }),
      ];
      const reinvites = method === 'INVITE';
      await room.withCall(
        {
          then: (scenario, port) =>
            holds
              .flatMap((hold, i) => [hold(port), phoneOffer(port, { version: 3 + 2 * i })])
              .reduce((steps, body) => {
                const answered = steps.waitForCue().request(method, { body }).expect(200);
                return reinvites ? answered.ack() : answered;
              }, scenario.expect(200).ack())
              .waitForCue()
              .bye(),
        },
        async (call) => {
          let answers = reinvites ? 1 : 0;
          await call.tones.hears(OTHERS);
          for (const direction of ['recvonly', 'inactive', 'recvonly']) {
            await call.cue();
            expect((await call.answerTo(method, (answers += 1))).body).toContain(`a=${direction}`);
            await call.tones.stopsHearing(OTHERS);
            await call.cue();
            expect((await call.answerTo(method, (answers += 1))).body).toContain('a=sendrecv');
            await call.tones.hears(OTHERS);
          }
          const versions = call
            .answersTo(method)
            .map(({ body }) => Number(/^o=\S+ \d+ (\d+)/m.exec(body)![1]));
          expect(versions, 'no answer is a cached one').toEqual([...versions].sort((a, b) => a - b));
          expect(new Set(versions).size).toBe(versions.length);
          await call.hangUp();
        },
      );
    },
  );

  it('is followed to another address and another codec, with a Contact in each answer (Janus #1591, PR 3286)', async () => {
    const moved = await ToneSocket.open({ frequency: MINE });
    const pcmaOnly = (port: number): string =>
      phoneOffer(port, { version: 3 }).replace('RTP/AVP 0 8 101', 'RTP/AVP 8 101');
    try {
      await room.withCall(
        {
          then: (scenario) =>
            scenario
              .expect(200)
              .ack()
              .waitForCue()
              .request('INVITE', { body: phoneOffer(moved.port, { version: 2 }) })
              .expect(200)
              .ack()
              .waitForCue()
              .request('UPDATE', { body: pcmaOnly(moved.port) })
              .expect(200)
              .waitForCue()
              .bye(),
        },
        async (call) => {
          await call.tones.hears(OTHERS);
          call.tones.pause();
          await call.cue();
          const answer = await call.answerTo('INVITE', 2);
          expect(answer.header('Contact')).toMatch(/^<sip:.*>$/);
          moved.start(audioAddressOf(answer.body));
          await moved.hears(OTHERS);
          await call.tones.stopsHearing(OTHERS);
          await call.cue();
          const update = await call.answerTo('UPDATE', 1);
          expect(update.body).toMatch(/^m=audio \d+ RTP\/AVP 8 /m);
          expect(update.header('Contact')).toMatch(/^<sip:.*>$/);
          await until('PCMA', () => (moved.received.get(PCMA) ?? 0) > 10, limit);
          await moved.hears(OTHERS);
          await call.hangUp();
        },
      );
    } finally {
      moved.close();
    }
  });

  it('has its own offer refused with 491 while ours is unanswered', async () => {
    await room.withCall(
      {
        then: (scenario, port) =>
          scenario
            .expect(200)
            .ack()
            .waitForCue()
            .request('INVITE')
            .expect(200)
            .request('UPDATE', { body: phoneOffer(port, { version: 2 }) })
            .expect(491)
            .ack({ body: phoneOffer(port, { version: 3 }) })
            .request('UPDATE', { body: phoneOffer(port, { version: 4 }) })
            .expect(200)
            .waitForCue()
            .bye(),
      },
      async (call) => {
        await call.cue();
        expect((await call.answerTo('UPDATE', 1)).body).toContain('m=audio');
        await call.tones.hears(OTHERS);
        await call.hangUp();
      },
    );
  });

  it('is refused with 488 if its offer is not acceptable, and goes on as before', async () => {
    await room.withCall(
      {
        then: (scenario, port) =>
          scenario
            .expect(200)
            .ack()
            .request('INVITE', { body: phoneOffer(port, { version: 2 }).replace('0 8 101', '18') })
            .expect(488)
            .ackRefusal()
            .waitForCue()
            .bye(),
      },
      async (call) => {
        const refusal = await call.waitFor('488', ({ status }) => status === 488);
        expect(refusal.header('Warning')).toMatch(/^305 /);
        await call.tones.hears(OTHERS);
        await room.otherCall.tones.hears(MINE);
        await call.hangUp();
      },
    );
  });
});
