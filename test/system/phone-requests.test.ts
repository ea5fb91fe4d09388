import { describe, expect, it } from 'vitest';
import { OTHERS, usePhoneRoom } from '../support/phone-room.js';
import { audioAddressOf, type TracedMessage } from '../support/sip-message.js';
import { beginCall, phoneOffer, placeCall, type Steps } from '../support/sipp.js';

const FROM = '"Ann Lee" <sip:+15555550123@carrier.example>';

describe('the requests of a phone', () => {
  const room = usePhoneRoom({
    env: { PATCHBAY_SIP_TRUST: '127.0.0.1', PATCHBAY_SHOWN_HEADERS: 'X-Order,X-Campaign' },
  });

  it('are answered as Allow says (livekit/sip #740, #331)', async () => {
    const relay = 'application/dtmf-relay';
    const then: Steps = (scenario) =>
      scenario
        .expect(200)
        .ack()
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
        .bye();
    await room.withCall({ then }, async (call) => {
      const isLast = ({ status, header }: TracedMessage): boolean =>
        status === 405 && header('CSeq')!.endsWith('REFER');
      const refusal = await call.waitFor('answer to REFER', isLast);
      const allowed = refusal.header('Allow')!.split(/\s*,\s*/);
      expect(allowed).toEqual(expect.arrayContaining(['INVITE', 'BYE', 'UPDATE', 'PRACK', 'INFO']));
      for (const method of ['MESSAGE', 'SUBSCRIBE', 'NOTIFY', 'REFER']) expect(allowed).not.toContain(method);
      await call.hangUp();
    });
  });

  it('are answered at once: a 200 without a 180 (livekit/sip #813, #102)', async () => {
    await room.withCall({}, async (call) => {
      const statuses = call.messages.flatMap(({ status }) => status ?? []);
      expect(statuses.filter((status) => status !== 100)).toEqual([200]);
      await call.hangUp();
    });
  });

  it('agree on session timers (livekit/sip PR 494)', async () => {
    const told = async (...headers: string[]): Promise<(string | undefined)[]> => {
      let answered: (string | undefined)[] = [];
      await room.withCall({ invite: { headers } }, async (call) => {
        const final = await call.final();
        answered = [final.header('Session-Expires')?.replaceAll(' ', ''), final.header('Require')];
        await call.hangUp();
      });
      return answered;
    };
    const timer = 'Supported: timer';
    expect(await told(timer, 'Session-Expires: 300;refresher=uac')).toEqual(['300;refresher=uac', 'timer']);
    expect((await told(timer, 'x: 300;refresher=uas'))[0]).toBe('300;refresher=uas');
    expect((await told('Session-Expires: 300'))[0]).toBe('300;refresher=uas');
    expect(await told(timer)).toEqual(['1800;refresher=uac', 'timer']);
    expect(await told()).toEqual([undefined, undefined]);
  });

  it.each(['INVITE', 'UPDATE'])(
    'refresh the session by %s, but not with an interval that is too short',
    async (method) => {
      const timer = 'Supported: timer';
      const refresh = (seconds: number, port: number) => ({
        headers: [timer, `Session-Expires: ${seconds};refresher=uac`],
        ...(method === 'INVITE' && { body: phoneOffer(port) }),
      });
      const isInvite = method === 'INVITE';
      const then: Steps = (scenario, port) => {
        const refused = scenario.expect(200).ack().request(method, refresh(60, port)).expect(422);
        const again = (isInvite ? refused.ackRefusal() : refused)
          .request(method, refresh(120, port))
          .expect(200);
        return (isInvite ? again.ack() : again).waitForCue().bye();
      };
      await room.withCall({ then, invite: { headers: [timer, 'Session-Expires: 90'] } }, async (call) => {
        const refreshed = await call.answerTo(method, isInvite ? 2 : 1);
        expect(refreshed.header('Session-Expires')).toBe('120;refresher=uac');
        expect(call.messages.find(({ status }) => status === 422)?.header('Min-SE')).toBe('90');
        await call.tones.hears(OTHERS);
        await call.hangUp();
      });
    },
  );

  it('show who calls, from P-Asserted-Identity of a trusted peer, also in the usage records', async () => {
    const invite = {
      uri: 'sip:+18005550199@127.0.0.1',
      from: 'Anonymous <sip:anonymous@anonymous.invalid>',
      headers: [`P-Asserted-Identity: ${FROM}`],
    };
    const shown = { caller: '+15555550123', callerName: 'Ann Lee', called: '+18005550199' };
    await room.withCall({ invite }, async (call, { id }) => {
      expect(await room.rest.request('GET', `/participants/${id}/device`)).toMatchObject({
        kind: 'phone',
        ...shown,
      });
      await call.hangUp();
      const { items } = (await room.rest.request('GET', '/usage?limit=1000')) as { items: object[] };
      expect(items).toContainEqual(expect.objectContaining({ participantId: id, ...shown }));
    });
  });

  it('show the headers that the operator chose (livekit/sip #358)', async () => {
    const headers = ['x-order: 42', 'X-Other: 1'];
    await room.withCall({ invite: { headers } }, async (call, { id }) => {
      expect(await room.rest.device(id)).toMatchObject({ headers: { 'X-Order': '42' } });
      await call.hangUp();
    });
  });

  it('have our BYE take the recorded route, nearest proxy first (livekit/sip #771)', async () => {
    const far = '<sip:192.0.2.7;lr>';
    const headers = ['Record-Route: <sip:near@[local_ip]:[local_port];lr>', `Record-Route: ${far}`];
    const then: Steps = (scenario) => scenario.expect(200).ack().waitForBye();
    await room.withCall({ invite: { headers }, then }, async (call, { id }) => {
      await room.rest.disconnectDevice(id);
      const routes = (await call.hungUp())
        .headers('Route')
        .join(',')
        .split(/\s*,\s*/);
      expect(routes).toEqual([`<sip:near@127.0.0.1:${call.port};lr>`, far]);
    });
  });
});

describe('a phone of a peer that is not trusted', () => {
  const room = usePhoneRoom({ alone: true });

  it('is shown by its From', async () => {
    const headers = ['P-Asserted-Identity: <sip:+19005550000@carrier.example>'];
    await room.withCall({ invite: { from: FROM, headers } }, async (call, { id }) => {
      expect(await room.rest.device(id)).toMatchObject({ caller: '+15555550123', callerName: 'Ann Lee' });
      await call.hangUp();
    });
  });
});

describe('a phone that requires 100rel', () => {
  const room = usePhoneRoom();
  const invite = { headers: ['Require: 100rel'] };

  it('gets a reliable 183 before its 200 (PRACK)', async () => {
    const then: Steps = (scenario) =>
      scenario.expect(183).prack().expect(200).expect(200, 'INVITE').ack().waitForCue().bye();
    await room.withCall({ then, invite }, async (call) => {
      const progress = call.messages.find(({ status }) => status === 183)!;
      expect(progress.header('RSeq')).toMatch(/^\d+$/);
      expect(progress.header('Require')).toContain('100rel');
      expect((await call.final()).body).toBe(progress.body);
      await call.hangUp();
    });
  });

  it('hears its session from the 183 on (livekit/sip #813)', async () => {
    const { token } = await room.rest.member(room.session);
    const then: Steps = (scenario) =>
      scenario.expect(183).waitForCue().prack().expect(200).expect(200, 'INVITE').ack().waitForCue().bye();
    const call = await beginCall({ sipPort: room.gateway.sipPort, token, invite, then });
    try {
      const progress = await call.waitFor('183', ({ status }) => status === 183);
      call.tones.start(audioAddressOf(progress.body));
      await call.tones.hears(OTHERS);
      expect(call.answersTo('INVITE')).toEqual([]);
      await call.cue();
      await call.final();
      await call.hangUp();
    } finally {
      await call.end();
    }
  });

  it('has the offer in its PRACK answered', async () => {
    const then: Steps = (scenario, port) =>
      scenario
        .expect(183)
        .prack({ body: phoneOffer(port, { version: 2 }).replace('0 8 101', '8 101') })
        .expect(200)
        .expect(200, 'INVITE')
        .ack()
        .waitForCue()
        .bye();
    await room.withCall({ then, invite }, async (call) => {
      const { body } = await call.answerTo('PRACK', 1);
      expect(body).toMatch(/^m=audio [1-9]\d* RTP\/AVP 8 101$/m);
      call.tones.start(audioAddressOf(body));
      await call.tones.hears(OTHERS);
      await call.hangUp();
    });
  });

  it('and makes no offer answers ours in the PRACK', async () => {
    const then: Steps = (scenario, port) =>
      scenario
        .expect(183)
        .prack({ body: phoneOffer(port) })
        .expect(200)
        .expect(200, 'INVITE')
        .ack()
        .waitForCue()
        .bye();
    await room.withCall({ then, invite: { ...invite, sdp: () => undefined } }, async (call) => {
      await call.tones.hears(OTHERS);
      await call.hangUp();
    });
  });

  it('and cancels before the answer leaves nothing behind (livekit/sip #106, jigasi #37)', async () => {
    // The answer waits for a PRACK, which leaves time for the CANCEL.
    const then: Steps = (scenario) =>
      scenario.expect(183).cancel().expect(200).expect(487, 'INVITE').ackRefusal();
    await room.withCall({ then, invite }, async (call, { id, token }) => {
      expect((await call.final()).status).toBe(487);
      await call.ended();
      await expect(room.rest.device(id)).rejects.toThrow('404');
      const again = await placeCall({ sipPort: room.gateway.sipPort, token });
      await again.hangUp();
      await again.end();
    });
  });
});
