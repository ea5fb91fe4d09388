import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startGateway, type TestGateway } from '../support/gateway.js';
import { Rest, type TestParticipant } from '../support/rest.js';
import { phoneOffer, placeCall, type CallOptions, type SippCall } from '../support/sipp.js';
import { PCMA, PCMU, ToneSocket } from '../support/tone-socket.js';
import { audioAddressOf } from '../support/sip-message.js';
import { until } from '../support/until.js';

/** What the phone under test says, and what the other phone of its session says. */
const MINE = 440;
const OTHERS = 700;

describe('a phone call', () => {
  let gateway: TestGateway;
  let rest: Rest;
  let session: string;
  let other: TestParticipant;
  let otherCall: SippCall;

  beforeAll(async () => {
    gateway = await startGateway({ env: { PATCHBAY_SIP_TRUST: '127.0.0.1' } });
    rest = new Rest(gateway);
    session = await rest.session();
    other = await rest.member(session);
    otherCall = await placeCall({ sipPort: gateway.sipPort, token: other.token, tone: OTHERS });
  });

  afterAll(async () => {
    await otherCall.end();
    expect(await gateway.stop()).toBe(0);
  });

  /** A call of a new participant, ended whatever happens. */
  async function withCall(
    options: Partial<CallOptions>,
    test: (call: SippCall, participant: TestParticipant) => Promise<void>,
  ): Promise<void> {
    const participant = await rest.member(session);
    const call = await placeCall({
      sipPort: gateway.sipPort,
      token: participant.token,
      tone: MINE,
      ...options,
    });
    try {
      await test(call, participant);
    } finally {
      await call.end();
      // Some tests delete it themselves.
      await rest.deleteParticipant(participant.id).catch((error: unknown) => {
        expect(String(error)).toContain('404');
      });
    }
  }

  it('carries both ways; a change of subscriptions is heard within five packets, without a SIP message', async () => {
    await withCall({}, async (call, { id }) => {
      await call.tones.hears(OTHERS);
      await otherCall.tones.hears(MINE);
      const messages = call.messages.length;
      await rest.subscribe(session, id, {});
      const answeredAt = performance.now();
      await until('ten packets', () => enough(call.tones.packetsSince(answeredAt, OTHERS)), limit);
      expect(call.tones.packetsSince(answeredAt, OTHERS).with).toBeLessThanOrEqual(5);
      await rest.subscribe(session, id, { participants: [{ participantId: other.id }] });
      const againAt = performance.now();
      await until('ten packets', () => enough(call.tones.packetsSince(againAt, OTHERS)), limit);
      expect(call.tones.packetsSince(againAt, OTHERS).without).toBeLessThanOrEqual(5);
      expect(call.messages.slice(messages)).toEqual([]);
      await call.hangUp();
    });
  });

  it('stays up in silence without a session, and moves between sessions live', async () => {
    const elsewhere = await rest.session();
    await withCall({}, async (call, { id }) => {
      await otherCall.tones.hears(MINE);
      await rest.leave(session, id);
      await otherCall.tones.stopsHearing(MINE);
      await call.tones.stopsHearing(OTHERS);
      const before = call.tones.packets;
      await until('silence goes on being sent', () => call.tones.packets > before + 5, limit);
      await rest.join(elsewhere, id, { sessionId: elsewhere });
      await rest.leave(elsewhere, id);
      await rest.join(session, id, { sessionId: session });
      await call.tones.hears(OTHERS);
      await otherCall.tones.hears(MINE);
      await call.hangUp();
    });
  });

  it('can be held and resumed in every spelling (livekit/sip #779, #96, #552, #716)', async () => {
    const holds = [
      (port: number) => phoneOffer(port, { direction: 'sendonly', version: 2 }),
      (port: number) => phoneOffer(port, { direction: 'inactive', version: 4 }),
      (port: number) => phoneOffer(port, { version: 6 }).replace('c=IN IP4 127.0.0.1', 'c=IN IP4 0.0.0.0'),
    ];
    await withCall(
      {
        then: (scenario, port) =>
          holds
            .reduce(
              (steps, hold, i) =>
                steps
                  .waitForCue()
                  .request('INVITE', { body: hold(port) })
                  .expect(200)
                  .ack()
                  .waitForCue()
                  .request('INVITE', { body: phoneOffer(port, { version: 3 + 2 * i }) })
                  .expect(200)
                  .ack(),
              scenario.expect(200).ack(),
            )
            .waitForCue()
            .bye(),
      },
      async (call) => {
        await call.tones.hears(OTHERS);
        for (const direction of ['recvonly', 'inactive', undefined]) {
          const answers = inviteAnswers(call).length;
          await call.cue();
          await until('hold answered', () => inviteAnswers(call).length > answers, limit);
          const answer = inviteAnswers(call).at(-1)!.body;
          if (direction !== undefined) expect(answer).toContain(`a=${direction}`);
          else expect(answer).not.toContain('a=sendrecv');
          await call.tones.stopsHearing(OTHERS);
          await call.cue();
          await until('resume answered', () => inviteAnswers(call).length > answers + 1, limit);
          expect(inviteAnswers(call).at(-1)!.body).toContain('a=sendrecv');
          await call.tones.hears(OTHERS);
        }
        const versions = inviteAnswers(call).map(({ body }) => Number(/^o=\S+ \d+ (\d+)/m.exec(body)![1]));
        expect(versions, 'no answer is a cached one').toEqual([...versions].sort((a, b) => a - b));
        expect(new Set(versions).size).toBe(versions.length);
        await call.hangUp();
      },
    );
  });

  it('follows the phone to another address and another codec', async () => {
    const moved = await ToneSocket.open({ frequency: MINE });
    const pcmaOnly = (port: number): string =>
      phoneOffer(port, { version: 3 }).replace('RTP/AVP 0 8 101', 'RTP/AVP 8 101');
    try {
      await withCall(
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
          await until('move answered', () => inviteAnswers(call).length === 2, limit);
          moved.start(audioAddressOf(inviteAnswers(call)[1]!.body));
          await moved.hears(OTHERS);
          await call.tones.stopsHearing(OTHERS);
          await call.cue();
          const update = await call.waitFor('answer to UPDATE', ({ status, header }) =>
            Boolean(status === 200 && header('CSeq')?.endsWith('UPDATE')),
          );
          expect(update.body).toMatch(/^m=audio \d+ RTP\/AVP 8 /m);
          await until('PCMA', () => (moved.received.get(PCMA) ?? 0) > 10, limit);
          await moved.hears(OTHERS);
          await call.hangUp();
        },
      );
    } finally {
      moved.close();
    }
  });

  it('may begin without an offer (livekit/sip #402), and change by re-INVITEs without one', async () => {
    await withCall(
      {
        invite: { sdp: () => undefined },
        then: (scenario, port) =>
          scenario
            .expect(200)
            .ack({ body: phoneOffer(port) })
            .waitForCue()
            .request('INVITE')
            .expect(200)
            .ack({ body: phoneOffer(port, { version: 2 }) })
            .waitForCue()
            .bye(),
      },
      async (call) => {
        await call.tones.hears(OTHERS);
        await otherCall.tones.hears(MINE);
        await call.cue();
        await until('answer', () => inviteAnswers(call).length === 2, limit);
        expect(inviteAnswers(call)[1]!.body).toContain('m=audio');
        await call.tones.hears(OTHERS);
        await call.hangUp();
      },
    );
  });

  it('answers each method as Allow says (livekit/sip #740, #331: INFO)', async () => {
    const relay = 'application/dtmf-relay';
    await withCall(
      {
        then: (scenario) =>
          scenario
            .expect(200)
            .ack()
            .request('INFO', { body: 'Signal=5\nDuration=160', contentType: relay })
            .expect(200)
            .request('INFO', { body: '7', contentType: 'application/dtmf' })
            .expect(200)
            .request('INFO')
            .expect(200)
            .request('INFO', { body: '<x/>', contentType: 'application/xml' })
            .expect(415)
            .request('INFO', { body: 'Signal=nonsense', contentType: relay })
            .expect(400)
            .request('OPTIONS')
            .expect(200)
            .request('UPDATE')
            .expect(200)
            .request('MESSAGE', { body: 'hello', contentType: 'text/plain' })
            .expect(405)
            .request('SUBSCRIBE', { headers: ['Event: presence', 'Expires: 60'] })
            .expect(405)
            .request('NOTIFY', { headers: ['Event: refer', 'Subscription-State: active'] })
            .expect(405)
            .request('REFER', { headers: ['Refer-To: <sip:elsewhere@127.0.0.1>'] })
            .expect(405)
            .waitForCue()
            .bye(),
      },
      async (call) => {
        const isLast = ({
          status,
          header,
        }: {
          status?: number;
          header: (name: string) => string | undefined;
        }) => status === 405 && header('CSeq')!.endsWith('REFER');
        const refusal = await call.waitFor('answer to REFER', isLast);
        const allowed = refusal.header('Allow')!.split(/\s*,\s*/);
        expect(allowed).toEqual(expect.arrayContaining(['INVITE', 'BYE', 'UPDATE', 'PRACK', 'INFO']));
        for (const method of ['MESSAGE', 'SUBSCRIBE', 'NOTIFY', 'REFER'])
          expect(allowed).not.toContain(method);
        await call.hangUp();
      },
    );
  });

  it('takes the audio and rejects video by port 0 (livekit/sip #24)', async () => {
    const withVideo = (port: number): string =>
      `${phoneOffer(port)}m=video ${port + 2} RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\n`;
    await withCall({ invite: { sdp: withVideo } }, async (call) => {
      const { body } = await call.final();
      expect(body).toMatch(/^m=audio [1-9]\d* /m);
      expect(body).toMatch(/^m=video 0 /m);
      await call.tones.hears(OTHERS);
      await call.hangUp();
    });
  });

  it('is heard though its SDP says a private address (livekit/sip #611, #424)', async () => {
    const privateAddress = (port: number): string =>
      phoneOffer(port).replace('c=IN IP4 127.0.0.1', 'c=IN IP4 192.168.55.5');
    await withCall({ invite: { sdp: privateAddress } }, async (call) => {
      await otherCall.tones.hears(MINE);
      await call.tones.hears(OTHERS);
      await call.hangUp();
    });
  });

  it('agrees on session timers (livekit/sip PR 494)', async () => {
    const asks = (...headers: string[]): Partial<CallOptions> => ({ invite: { headers } });
    const told = async (options: Partial<CallOptions>): Promise<(string | undefined)[]> => {
      let headers: (string | undefined)[] = [];
      await withCall(options, async (call) => {
        const final = await call.final();
        headers = [final.header('Session-Expires')?.replaceAll(' ', ''), final.header('Require')];
        await call.hangUp();
      });
      return headers;
    };
    const timer = 'Supported: timer';
    expect(await told(asks(timer, 'Session-Expires: 300;refresher=uac'))).toEqual([
      '300;refresher=uac',
      'timer',
    ]);
    expect((await told(asks(timer, 'x: 300;refresher=uas')))[0]).toBe('300;refresher=uas');
    expect((await told(asks('Session-Expires: 300')))[0]).toBe('300;refresher=uas');
    expect(await told(asks(timer))).toEqual(['1800;refresher=uac', 'timer']);
    expect(await told({})).toEqual([undefined, undefined]);
  });

  it('shows who calls, from P-Asserted-Identity of a trusted peer', async () => {
    const options: Partial<CallOptions> = {
      invite: {
        uri: 'sip:+18005550199@127.0.0.1',
        from: 'Anonymous <sip:anonymous@anonymous.invalid>',
        headers: ['P-Asserted-Identity: "Ann Lee" <sip:+15555550123@carrier.example>'],
      },
    };
    await withCall(options, async (call, { id }) => {
      expect(await rest.request('GET', `/participants/${id}/device`)).toMatchObject({
        kind: 'phone',
        caller: '+15555550123',
        callerName: 'Ann Lee',
        called: '+18005550199',
      });
      await call.hangUp();
    });
  });

  it('ends by BYE with a Reason when its participant is deleted (livekit/sip #316, #294)', async () => {
    await withCall({ then: (scenario) => scenario.expect(200).ack().waitForBye() }, async (call, { id }) => {
      await rest.deleteParticipant(id);
      const bye = await call.hungUp();
      expect(bye.header('Reason')).toBe('SIP;cause=404;text="The participant was deleted."');
    });
  });

  it('ends by BYE when the application disconnects its device; the participant may call again', async () => {
    await withCall(
      { then: (scenario) => scenario.expect(200).ack().waitForBye() },
      async (call, { id, token }) => {
        await rest.request('DELETE', `/participants/${id}/device`);
        expect((await call.hungUp()).header('Reason')).toContain('The application ended the call.');
        const again = await placeCall({ sipPort: gateway.sipPort, token });
        await again.hangUp();
        await again.end();
      },
    );
  });

  it('has its BYE repeated until it is answered (livekit/sip #112)', async () => {
    const then: CallOptions['then'] = (scenario) => scenario.expect(200).ack().receive('BYE').pause(20_000);
    await withCall({ then }, async (call, { id }) => {
      await rest.deleteParticipant(id);
      const byes = (): number => call.messages.filter(({ method }) => method === 'BYE').length;
      await until('three BYEs', () => byes() >= 3, { withinMs: 5000 });
    });
  });

  it('starts with the codec that the phone prefers', async () => {
    const pcmaFirst = (port: number): string =>
      phoneOffer(port).replace('RTP/AVP 0 8 101', 'RTP/AVP 8 0 101');
    await withCall({ invite: { sdp: pcmaFirst } }, async (call) => {
      call.tones.codec = PCMA;
      await call.tones.hears(OTHERS);
      await otherCall.tones.hears(MINE);
      expect(call.tones.received.get(PCMU)).toBeUndefined();
      await call.hangUp();
    });
  });
});

const limit = { withinMs: 5000, everyMs: 10 };

function enough(packets: { with: number; without: number }): boolean {
  return packets.with + packets.without >= 10;
}

/** The 200s to the call's INVITEs, in order, each once. */
function inviteAnswers(call: SippCall): SippCall['messages'] {
  const answers = call.messages.filter(
    ({ direction, status, header }) =>
      direction === 'received' && status === 200 && header('CSeq')!.endsWith('INVITE'),
  );
  return answers.filter((answer, i) => i === 0 || answer.header('CSeq') !== answers[i - 1]!.header('CSeq'));
}
