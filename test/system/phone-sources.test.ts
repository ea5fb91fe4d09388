import { afterAll, beforeAll, describe, expect } from 'vitest';
import { Bystander, TWO_ACCOUNTS } from '../support/bystander.js';
import { readMetrics, sumOf } from '../support/metrics.js';
import { direct, limit, MINE, OTHERS, usePhoneRoom } from '../support/phone-room.js';
import { audioAddressOf } from '../support/sip-message.js';
import { beginCall, phoneOffer, placeCall, type SippCall, type Steps } from '../support/sipp.js';
import { GcmReceiver, GcmSender } from '../support/srtp-gcm.js';
import { type RtpAddress, ToneSocket } from '../support/tone-socket.js';
import { until } from '../support/until.js';

const STRANGER = '127.0.0.2';
const VICTIM = '127.0.0.3';
/** One address in the networks of PATCHBAY_RTP_ASYMMETRIC, and one that is not. */
const ASYMMETRIC = '127.0.0.4';
const SYMMETRIC = '127.0.0.5';
const SHOUTED = 1300;
/** Packets that an unproven address gets in ten seconds, and some for a busy machine, which looks at the time late. */
const TRIAL_PACKETS = 520;

// FreeSWITCH has its own rules for the addresses of phones. What takes long is done at the same time.
describe.concurrent('where the media of a phone come from and go to', { timeout: 60_000 }, () => {
  const room = usePhoneRoom({ env: { ...TWO_ACCOUNTS, PATCHBAY_RTP_ASYMMETRIC: `${ASYMMETRIC}/32` } });
  let bystander: Bystander;
  const sockets: ToneSocket[] = [];

  beforeAll(async () => {
    bystander = await Bystander.start(room.gateway);
  });
  afterAll(async () => {
    for (const socket of sockets) socket.close();
    await bystander.stillHears();
    await bystander.end();
  });

  const socketAt = async (host: string): Promise<ToneSocket> => {
    const socket = await ToneSocket.open({ frequency: SHOUTED, host });
    sockets.push(socket);
    return socket;
  };
  /** A call whose phone sends only once the test starts it; by default in the session of the room. */
  const silentCall = async (
    options: { sdp?: (port: number) => string; then?: Steps; session?: string },
    test: (call: SippCall, gateway: RtpAddress, participantId: string) => Promise<void>,
  ): Promise<void> => {
    const { sdp = phoneOffer, then, session = room.session } = options;
    const { id, token } = await room.rest.member(session);
    const { sipPort } = room.gateway;
    const call = await beginCall({ sipPort, token, tone: MINE, invite: { sdp }, ...(then && { then }) });
    try {
      const { body } = await call.waitFor('200', ({ status }) => status === 200);
      await test(call, audioAddressOf(body), id);
    } finally {
      await call.end();
      await room.rest.deleteParticipant(id);
    }
  };
  /** Waits for so many packets by the clock of another phone. */
  const later = async (packets: number): Promise<void> => {
    const { tones } = room.otherCall;
    const goal = tones.packets + packets;
    await until(`${packets} packets of another phone`, () => tones.packets >= goal, {
      ...limit,
      withinMs: packets * 20 + 10_000,
    });
  };
  /** The phone hears the others now, and the stranger nothing any more. */
  const hasItsAudio = async (call: SippCall, stranger: ToneSocket): Promise<void> => {
    const before = call.tones.packets;
    await until('the phone’s audio', () => call.tones.packets > before + 5, limit);
    const caught = stranger.packets;
    await later(25);
    expect(stranger.packets).toBe(caught);
    await call.tones.hears(OTHERS);
    await room.otherCall.tones.hears(MINE);
  };

  describe('that may not be its own', () => {
    direct.sequential(
      'a stranger who sends first has to give way to the announced address at once',
      async () => {
        const stranger = await socketAt(STRANGER);
        await silentCall({}, async (call, gateway) => {
          stranger.start(gateway);
          await later(300);
          call.tones.start(gateway);
          await hasItsAudio(call, stranger);
          await call.hangUp();
        });
      },
    );

    direct.sequential('a stranger gets nothing while the phone is silent', async () => {
      const stranger = await socketAt(STRANGER);
      await silentCall({}, async (call, gateway) => {
        call.tones.start(gateway);
        await call.tones.hears(OTHERS);
        call.tones.pause();
        stranger.start(gateway);
        await later(200);
        expect(stranger.packets).toBe(0);
        expect(call.tones.level(OTHERS)).toBeGreaterThan(-35);
        call.tones.start(gateway);
        await hasItsAudio(call, stranger);
        await call.hangUp();
      });
    });

    direct.sequential(
      'a phone behind NAT takes its call back from a stranger, by the address of its SIP',
      async () => {
        const stranger = await socketAt(STRANGER);
        const sdp = (port: number): string => phoneOffer(port, { host: '192.168.55.5' });
        await silentCall({ sdp }, async (call, gateway) => {
          stranger.start(gateway);
          await until('what the stranger gets', () => stranger.packets > 0, limit);
          call.tones.start(gateway);
          await hasItsAudio(call, stranger);
          await call.hangUp();
        });
      },
    );

    direct.sequential('an encrypted phone is believed wherever it is, and nobody else', async () => {
      const stranger = await socketAt(STRANGER);
      const sender = new GcmSender();
      const sdp = (port: number): string =>
        phoneOffer(port, { host: '192.168.55.5', lines: [`a=crypto:1 ${sender.line}`] }).replace(
          '/AVP',
          '/SAVP',
        );
      await silentCall({ sdp }, async (call, gateway) => {
        const { body } = await call.waitFor('200', ({ status }) => status === 200);
        const receiver = new GcmReceiver(body);
        call.tones.sealing = {
          seal: (packet) => sender.seal(packet),
          open: (packet) => receiver.open(packet),
        };
        stranger.start(gateway);
        await later(25);
        expect(stranger.packets).toBe(0);
        call.tones.start(gateway);
        await hasItsAudio(call, stranger);
        expect(stranger.packets).toBe(0);
        await call.hangUp();
      });
    });

    direct.sequential.each([
      ['gets its audio where it announced, from listed networks', ASYMMETRIC],
      ['counts as behind NAT from others, and gets it where it sends from', SYMMETRIC],
    ])('a phone that sends from another port than it receives on %s', async (_what, host) => {
      const [announced, sender] = [await socketAt(host), await socketAt(host)];
      const [listens, isDeaf] = host === ASYMMETRIC ? [announced, sender] : [sender, announced];
      const sdp = (port: number): string =>
        phoneOffer(port, { host }).replace(/m=audio \d+/, `m=audio ${announced.port}`);
      await silentCall({ sdp }, async (call, gateway) => {
        sender.start(gateway);
        await Promise.all([listens.hears(OTHERS), room.otherCall.tones.hears(SHOUTED)]);
        const caught = isDeaf.packets;
        await later(100);
        expect(isDeaf.packets).toBe(caught);
        await listens.hears(OTHERS);
        await call.hangUp();
      });
    });
  });

  direct(
    'an address that sends nothing gets media for ten seconds, and an impossible one never',
    async () => {
      const listensOnly = (host: string) => (port: number) =>
        phoneOffer(port, { host, direction: 'recvonly' });
      // Nobody else's sound is in it.
      const session = await room.rest.session();
      const other = await placeCall({
        sipPort: room.gateway.sipPort,
        token: (await room.rest.member(session)).token,
        tone: OTHERS,
      });
      const victim = await socketAt(VICTIM);
      const moved = await socketAt(VICTIM);
      const named = (port: number): string =>
        listensOnly(VICTIM)(port).replace(/m=audio \d+/, `m=audio ${victim.port}`);
      const moves: Steps = (scenario) =>
        scenario
          .expect(200)
          .ack()
          .request('INVITE', { body: phoneOffer(moved.port, { host: VICTIM, version: 2 }) })
          .expect(200)
          .ack()
          .waitForCue()
          .bye();
      const unacknowledged: Steps = (scenario) => scenario.expect(200).waitForCue().ack().waitForBye();

      await Promise.all([
        silentCall({ session, sdp: named }, async (call, gateway) => {
          await later(620);
          const got = victim.packets;
          expect(got).toBeGreaterThan(100);
          expect(got).toBeLessThanOrEqual(TRIAL_PACKETS);
          await later(50);
          expect(victim.packets, 'sending has stopped').toBe(got);
          victim.start(gateway);
          await until('sending to start again', () => victim.packets > got + 50, limit);
          victim.pause();
          await call.hangUp();
        }),
        // A listen-only phone without RTCP, whose SIP comes from where it listens.
        silentCall({ session, sdp: listensOnly('127.0.0.1') }, async (call) => {
          await later(700);
          const got = call.tones.packets;
          await until('sending to go on', () => call.tones.packets > got + 50, limit);
          await call.tones.hears(OTHERS);
          await call.hangUp();
        }),
        silentCall({ session, then: moves }, async (call) => {
          await later(620);
          const got = moved.packets;
          expect(got).toBeGreaterThan(100);
          expect(got).toBeLessThanOrEqual(TRIAL_PACKETS);
          await later(50);
          expect(moved.packets, 'sending has stopped').toBe(got);
          await call.hangUp();
        }),
        silentCall({ session, then: unacknowledged }, async (call, _gateway, participantId) => {
          await room.rest.device(participantId);
          await until('the end of a call without ACK', () => isGone(participantId), { withinMs: 20_000 });
          expect(call.tones.packets, 'nothing is sent before the ACK').toBe(0);
          await call.cue();
          const bye = await call.hungUp();
          expect(bye.header('Reason')).toContain('Neither an ACK nor media came.');
        }),
      ]);
      await other.end();
    },
  );

  // After all of them.
  direct.sequential('what is withheld, and strangers, are counted', async () => {
    const metrics = await readMetrics(room.gateway);
    expect(sumOf(metrics, 'patchbay_rtp_frames_withheld_total')).toBeGreaterThan(100);
    expect(sumOf(metrics, 'patchbay_rtp_strangers_total')).toBeGreaterThan(10);
  });

  async function isGone(participantId: string): Promise<boolean> {
    return room.rest.device(participantId).then(
      () => false,
      (error: unknown) => String(error).includes('404'),
    );
  }
});
