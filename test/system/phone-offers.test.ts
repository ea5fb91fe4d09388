import { describe, expect, it } from 'vitest';
import { direct, limit, MINE, OTHERS, usePhoneRoom } from '../support/phone-room.js';
import { beginCall, phoneOffer, placeRefusedCall, type SippCall, type Steps } from '../support/sipp.js';
import { GcmReceiver, GcmSender } from '../support/srtp-gcm.js';
import { until } from '../support/until.js';

const AES = 'AES_CM_128_HMAC_SHA1_80 inline:d0RmdmcmVCspeEc3QGZiNWpVLFJhQX1cfHAwJSoj';
/** Waits until the phone hears the other one, then hangs up. */
const talksAndHangsUp = async (call: SippCall): Promise<void> => {
  await call.tones.hears(OTHERS);
  await call.hangUp();
};

describe('the offer of a phone', () => {
  const room = usePhoneRoom();

  it('may be missing, and so may those of re-INVITEs (livekit/sip #402)', async () => {
    await room.withCall(
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
        await room.otherCall.tones.hears(MINE);
        await call.cue();
        expect((await call.answerTo('INVITE', 2)).body).toContain('m=audio');
        await talksAndHangsUp(call);
      },
    );
  });

  it('has its audio accepted and its video rejected by port 0 (livekit/sip #24)', async () => {
    const sdp = (port: number): string =>
      `${phoneOffer(port)}m=video ${port + 2} RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\n`;
    await room.withCall({ invite: { sdp } }, async (call) => {
      const { body } = await call.final();
      expect(body).toMatch(/^m=audio [1-9]\d* /m);
      expect(body).toMatch(/^m=video 0 /m);
      await talksAndHangsUp(call);
    });
  });

  direct('has one of several audio lines taken, in the order of the offer', async () => {
    const sdp = (port: number): string => {
      const [session, audio] = phoneOffer(port).split(/(?=^m=audio)/m);
      return `${session}m=image 9 udptl t38\r\nm=audio ${port} RTP/AVP 18\r\n${audio}${audio}`;
    };
    await room.withCall({ invite: { sdp } }, async (call) => {
      const ports = [...(await call.final()).body.matchAll(/^m=(\w+) (\d+)/gm)].map(
        ([, kind, port]) => `${kind} ${port === '0' ? 'refused' : 'taken'}`,
      );
      expect(ports).toEqual(['image refused', 'audio refused', 'audio taken', 'audio refused']);
      await talksAndHangsUp(call);
    });
  });

  direct('twice, as SAVP and as AVP, is taken encrypted (Janus #214)', async () => {
    const sdp = (port: number): string => {
      const [session, audio] = phoneOffer(port).split(/(?=^m=audio)/m);
      return `${session}${audio}${audio!.replace('RTP/AVP', 'RTP/SAVP')}a=crypto:1 ${AES}\r\n`;
    };
    await room.withCall({ invite: { sdp } }, async (call) => {
      const { body } = await call.final();
      expect(body).toMatch(/^m=audio 0 RTP\/AVP /m);
      expect(body).toMatch(/^m=audio [1-9]\d* RTP\/SAVP /m);
      await call.hangUp();
    });
  });

  it('that insists on SDES has its supported crypto line accepted, with its tag (Janus #2726, #1770)', async () => {
    const lines = ['a=crypto:1 F8_128_HMAC_SHA1_80 inline:d0Rm', `a=crypto:7 ${AES}`];
    const sdp = (port: number): string => phoneOffer(port, { lines }).replace('RTP/AVP', 'RTP/SAVP');
    await room.withCall({ invite: { sdp } }, async (call) => {
      const { body } = await call.final();
      expect(body).toMatch(/^m=audio [1-9]\d* RTP\/SAVP /m);
      expect(body).toMatch(/^a=crypto:7 AES_CM_128_HMAC_SHA1_80 inline:\S{40}/m);
      await call.hangUp();
    });
  });

  it('of AEAD_AES_128_GCM gives a call that carries both ways', async () => {
    const sender = new GcmSender();
    const sdp = (port: number): string =>
      phoneOffer(port, { lines: [`a=crypto:1 ${sender.line}`] }).replace('RTP/AVP', 'RTP/SAVP');
    const { token } = await room.rest.member(room.session);
    const call = await beginCall({ sipPort: room.gateway.sipPort, token, tone: MINE, invite: { sdp } });
    try {
      const answer = await call.waitFor('200', ({ status }) => status === 200);
      const receiver = new GcmReceiver(answer.body);
      call.tones.sealing = {
        seal: (packet) => sender.seal(packet),
        open: (packet) => receiver.open(packet),
      };
      await call.final();
      await room.otherCall.tones.hears(MINE);
      await talksAndHangsUp(call);
    } finally {
      await call.end();
    }
  });

  it.each(['RTP/AVPF', 'RTP/AVP'])('of %s is answered with it (Janus #3290)', async (profile) => {
    const sdp = (port: number): string => phoneOffer(port).replace('RTP/AVP', profile);
    await room.withCall({ invite: { sdp } }, async (call) => {
      expect((await call.final()).body).toMatch(new RegExp(`^m=audio [1-9]\\d* ${profile} 0 101$`, 'm'));
      await talksAndHangsUp(call);
    });
  });

  it('without ICE is answered without ICE (Janus #1595)', async () => {
    await room.withCall({}, async (call) => {
      expect((await call.final()).body).not.toMatch(/candidate|ice-|fingerprint/);
      await talksAndHangsUp(call);
    });
  });

  direct.each([
    ['opus/48000/2', 'a=rtpmap:96 opus/48000/2'],
    ['G722/8000', 'a=rtpmap:96 G722/8000'],
    ['PCMA/8000', 'a=rtpmap:96 PCMA/8000'],
  ])(
    'of only %s is answered with it and nothing else (livekit/sip #281, livekit #4106)',
    async (map, line) => {
      const sdp = (port: number): string =>
        phoneOffer(port)
          .replace('RTP/AVP 0 8 101', 'RTP/AVP 96')
          .replace(/a=(rtpmap|fmtp):.*\r\n/g, '')
          .concat(`a=rtpmap:96 ${map}\r\n`);
      await room.withCall({ invite: { sdp } }, async (call) => {
        const { body } = await call.final();
        expect(body).toMatch(/^m=audio [1-9]\d* RTP\/AVP 96$/m);
        expect(body.match(/^a=rtpmap:.*/gm)).toEqual([line]);
        await call.hangUp();
      });
    },
  );

  it.each([
    ['a=inactive', (offer: string) => offer.replace('a=sendrecv', 'a=inactive'), 'a=inactive'],
    ['c=0.0.0.0', (offer: string) => offer.replace('c=IN IP4 127.0.0.1', 'c=IN IP4 0.0.0.0'), 'a=recvonly'],
  ])('may put the call on hold from the start by %s', async (_how, hold, answered) => {
    const then: Steps = (scenario, port) =>
      scenario
        .expect(200)
        .ack()
        .waitForCue()
        .request('INVITE', { body: phoneOffer(port, { version: 2 }) })
        .expect(200)
        .ack()
        .waitForCue()
        .bye();
    await room.withCall({ invite: { sdp: (port) => hold(phoneOffer(port)) }, then }, async (call) => {
      expect((await call.final()).body).toContain(answered);
      const { tones } = room.otherCall;
      const before = tones.packets;
      await until('others to be sent something', () => tones.packets > before + 10, limit);
      expect(call.tones.packets).toBe(0);
      await call.cue();
      await call.answerTo('INVITE', 2);
      await talksAndHangsUp(call);
    });
  });

  const unfit: readonly [string, RegExp, (port: number) => string][] = [
    ['no codec of ours', /^305 /, (port) => phoneOffer(port).replace('RTP/AVP 0 8 101', 'RTP/AVP 18')],
    ['video alone', /^305 /, (port) => phoneOffer(port).replace('m=audio', 'm=video')],
    [
      'SAVP without a supported crypto suite',
      /^305 /,
      (port) => phoneOffer(port).replace('RTP/AVP', 'RTP/SAVP'),
    ],
    ['nonsense', /^399 /, () => 'v=0\r\nthis is no SDP\r\n'],
    ['a multicast address', /^399 /, (port) => phoneOffer(port, { host: '224.0.0.1' })],
  ];

  direct.each(unfit)('of %s is refused with 488 and a Warning', async (_what, warning, sdp) => {
    const { token } = await room.rest.member(room.session);
    const refusal = await placeRefusedCall({ sipPort: room.gateway.sipPort, token, invite: { sdp } });
    expect(refusal.status).toBe(488);
    expect(refusal.header('Warning')).toMatch(warning);
    expect(refusal.header('Reason')).toContain('cause=488');
  });
});

describe('the offer of a phone, if only G.711 is allowed', () => {
  const room = usePhoneRoom({ env: { PATCHBAY_PHONE_CODECS: 'PCMA,PCMU' } });

  direct('is answered with what is allowed of it (livekit #4106)', async () => {
    const sdp = (port: number): string => phoneOffer(port).replace('RTP/AVP 0 8 101', 'RTP/AVP 9 0 101');
    await room.withCall({ invite: { sdp } }, async (call) => {
      expect((await call.final()).body).toMatch(/^m=audio [1-9]\d* RTP\/AVP 0 101$/m);
      await talksAndHangsUp(call);
    });
  });

  direct('is not missed: ours has what is allowed, in that order', async () => {
    const then: Steps = (scenario, port) =>
      scenario
        .expect(200)
        .ack({ body: phoneOffer(port) })
        .waitForCue()
        .bye();
    await room.withCall({ invite: { sdp: () => undefined }, then }, async (call) => {
      expect((await call.final()).body).toMatch(/^m=audio [1-9]\d* RTP\/AVP 8 0 101 102$/m);
      await talksAndHangsUp(call);
    });
  });
});
