import { once } from 'node:events';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { LocalMediaPlane } from '../plane.js';
import { RTCP_RECEIVER_REPORT, RTCP_SENDER_REPORT, RtcpCursor } from '../rtp/index.js';
import { SRTP_SUITES } from '../srtp/index.js';
import { toneLevel } from './testing/spectrum.js';
import { TestPhone } from './testing/test-phone.js';
import { openPhonePlane } from './testing/test-plane.js';

// Calls take real time, and a busy machine takes more of it.
vi.setConfig({ testTimeout: 20_000, hookTimeout: 20_000 });

/** Heard at half the level at which it was played, or better. */
const LOUD = 0.12;

describe('a phone call', () => {
  let plane: LocalMediaPlane;
  const phones: TestPhone[] = [];

  const open = async (options?: Parameters<typeof TestPhone.open>[0]): Promise<TestPhone> => {
    const phone = await TestPhone.open(options);
    phones.push(phone);
    return phone;
  };
  const call = async (deviceId: string, phone: TestPhone, lines?: readonly string[]): Promise<string> => {
    const { sdp, stream } = await plane.openPhone({ deviceId, sdpOffer: phone.offer(lines) });
    phone.callTo(sdp);
    return stream!.streamId;
  };
  const deliver = (deviceId: string, streamId: string): Promise<void> =>
    plane.setDelivery(deviceId, [{ streamId, kinds: ['audio'] }]);
  const hears = async (phone: TestPhone, hertz: number, since = 0): Promise<void> => {
    const rate = phone.codec.mixRate();
    await phone.until(() => {
      const pcm = phone.heardSince(since);
      return pcm.length >= rate / 5 && toneLevel(pcm.slice(-rate / 5), rate, hertz) > LOUD;
    });
  };

  beforeEach(() => {
    plane = openPhonePlane();
  });

  afterEach(async () => {
    await Promise.all(phones.splice(0).map((phone) => phone.close()));
    await plane.stop();
  });

  describe.each(['PCMU', 'PCMA', 'G722', 'opus'])('with %s', (codec) => {
    it('is heard, and hears, with every other codec', async () => {
      const alice = await open({ codec, clockRate: codec === 'opus' ? 48000 : 8000 });
      const aliceStream = await call('alice', alice);
      alice.play(700);
      for (const [i, other] of ['PCMU', 'G722', 'opus'].entries()) {
        const bob = await open({ codec: other, clockRate: other === 'opus' ? 48000 : 8000 });
        await call(`bob${i}`, bob);
        await deliver(`bob${i}`, aliceStream);
        await hears(bob, 700);
      }
    });
  });

  it.each(SRTP_SUITES.map(({ name }) => name))('is encrypted both ways with %s', async (suite) => {
    const alice = await open();
    const bob = await open();
    alice.encrypt(suite);
    bob.encrypt(suite);
    const aliceStream = await call('alice', alice);
    await call('bob', bob);
    alice.play(700);
    await deliver('bob', aliceStream);
    await hears(bob, 700);
    expect(bob.unauthentic).toBe(0);

    // A re-INVITE with another key of the phone, and ours as before.
    alice.encrypt(suite);
    alice.callTo((await plane.updatePhone('alice', alice.offer())).sdp);
    await hears(bob, 700, performance.now() + 200);
  });

  it('refuses an answer that takes another crypto line than was offered, and goes on as before', async () => {
    const alice = await open();
    alice.encrypt('AES_CM_128_HMAC_SHA1_80');
    await call('alice', alice);
    const { sdp } = await plane.updatePhone('alice');
    expect(sdp).toContain('RTP/SAVP');
    expect(sdp).toContain('a=crypto:1 ');
    await expect(
      plane.answerPhone('alice', alice.offer().replace('a=crypto:1 ', 'a=crypto:2 ')),
    ).rejects.toMatchObject({ code: 'BAD_SDP' });
    const since = performance.now();
    await alice.until(() => alice.received.filter(({ at }) => at > since).length > 5);
    expect(alice.unauthentic).toBe(0);
    expect((await plane.answerPhone('alice', alice.offer())).held).toBe(false);
  });

  it('refuses what is not encrypted with the right key', async () => {
    const alice = await open();
    alice.encrypt('AES_CM_128_HMAC_SHA1_80');
    await call('alice', alice);
    // The gateway does not know this key: it was made after the offer.
    alice.encrypt('AES_CM_128_HMAC_SHA1_80');
    alice.play(700);
    await alice.until(() => alice.received.length >= 20);
    expect((await plane.statistics('alice')).packetsReceived).toBe(0);
  });

  it.each([10, 30, 40, 60])('packs %i ms when asked to', async (ptime) => {
    const alice = await open();
    const bob = await open();
    const aliceStream = await call('alice', alice);
    await call('bob', bob, [`a=ptime:${ptime}`]);
    alice.play(700);
    await deliver('bob', aliceStream);
    await hears(bob, 700);
    const [first, second] = bob.received.slice(-2);
    expect(first!.payload.length).toBe(ptime * 8);
    expect((second!.timestamp - first!.timestamp) >>> 0).toBe(ptime * 8);
  });

  it('hears IPv6 phones, and is heard by them', async () => {
    const alice = await open({ host: '::1' });
    const bob = await open();
    const aliceStream = await call('alice', alice);
    const bobStream = await call('bob', bob);
    alice.play(700);
    bob.play(1300);
    await deliver('bob', aliceStream);
    await deliver('alice', bobStream);
    await hears(bob, 700);
    await hears(alice, 1300);
  });

  it('stays where it is when an IPv6 phone holds with an IPv4 null address', async () => {
    const alice = await open({ host: '::1' });
    const { sdp } = await plane.openPhone({ deviceId: 'alice', sdpOffer: alice.offer() });
    const held = await plane.updatePhone('alice', alice.offer(['c=IN IP4 0.0.0.0']));
    expect(held.held).toBe(true);
    expect(held.sdp).toContain(/m=audio \d+/.exec(sdp)![0]);
    expect(held.sdp).toContain('c=IN IP6 ::1');
  });

  it('starts with our offer when the phone makes none', async () => {
    const alice = await open();
    const offered = await plane.openPhone({ deviceId: 'alice' });
    expect(offered.stream).toBeUndefined();
    alice.callTo(offered.sdp);
    const agreed = await plane.answerPhone('alice', alice.offer());
    expect(agreed.stream?.kinds).toEqual(['audio']);
    await alice.until(() => alice.received.length > 5);
  });

  describe('held', () => {
    it.each([
      ['sendonly', ['a=sendonly']],
      ['inactive', ['a=inactive']],
      ['c=0.0.0.0', ['c=IN IP4 0.0.0.0']],
    ])('by %s hears nothing until it is resumed', async (_how, lines) => {
      const alice = await open();
      await call('alice', alice);
      await alice.until(() => alice.received.length > 5);
      expect((await plane.updatePhone('alice', alice.offer(lines))).held).toBe(true);
      const sent = (await plane.statistics('alice')).packetsSent;
      const bob = await open();
      await call('bob', bob);
      await bob.until(() => bob.received.length > 10);
      expect((await plane.statistics('alice')).packetsSent).toBe(sent);

      const resumed = performance.now();
      expect((await plane.updatePhone('alice', alice.offer())).held).toBe(false);
      await alice.until(() => alice.received.filter(({ at }) => at > resumed).length > 5);
    });
  });

  it('says once that media is lost, but not of a phone on hold', async () => {
    await plane.stop();
    plane = openPhonePlane({ mediaTimeoutMs: 500 });
    const alice = await open();
    const bob = await open();
    await call('alice', alice, ['a=inactive']);
    await call('bob', bob);
    const lost: string[] = [];
    plane.on('mediaLost', ({ deviceId, cause }) => lost.push(`${deviceId} ${cause}`));
    await once(plane, 'mediaLost', { signal: AbortSignal.timeout(15_000) });
    await bob.until(() => bob.received.length > 120);
    expect(lost).toEqual(['bob timeout']);
  });

  it('follows a phone that moves, and not what still comes from where it was', async () => {
    const alice = await open();
    await call('alice', alice);
    alice.play(700);
    await alice.until(() => alice.received.length > 10);
    const moved = await open();
    moved.callTo((await plane.updatePhone('alice', moved.offer())).sdp);
    await moved.until(() => moved.received.length > 20);
    const late = alice.received.length;
    moved.play(700);
    await moved.until(() => moved.received.length > 40);
    expect(alice.received.length - late).toBe(0);
  });

  it('changes the codec in the call: the stream stays, its track is another', async () => {
    const alice = await open();
    const bob = await open();
    const aliceStream = await call('alice', alice);
    await call('bob', bob);
    await deliver('bob', aliceStream);
    alice.play(700);
    await hears(bob, 700);
    alice.stop();
    const changed = await open({ codec: 'G722' });
    const { sdp, stream } = await plane.updatePhone('alice', changed.offer());
    expect(stream?.streamId).toBe(aliceStream);
    changed.callTo(sdp);
    changed.play(1500);
    await hears(bob, 1500);
  });

  describe('from another address than the SDP says', () => {
    it('is found by its packets', async () => {
      const alice = await open();
      const { sdp } = await plane.openPhone({ deviceId: 'alice', sdpOffer: alice.offer([], 9) });
      alice.callTo(sdp);
      alice.play(700);
      await alice.until(() => alice.received.length > 10);
    });

    it('does not hand the call to a stranger while the phone is there', async () => {
      const alice = await open();
      await call('alice', alice);
      alice.play(700);
      await alice.until(() => alice.received.length > 5);
      const mallory = await open();
      mallory.callTo((await plane.updatePhone('alice', alice.offer())).sdp);
      mallory.play(1300);
      const before = alice.received.length;
      await alice.until(() => alice.received.length > before + 40);
      expect(mallory.received).toEqual([]);
    });

    it('gives a stranger’s early catch back to the phone', async () => {
      const alice = await open();
      const mallory = await open();
      const { sdp } = await plane.openPhone({ deviceId: 'alice', sdpOffer: alice.offer() });
      mallory.callTo(sdp);
      alice.callTo(sdp);
      mallory.play(1300);
      await mallory.until(() => mallory.received.length > 2);
      alice.play(700);
      const since = performance.now();
      await alice.until(() => alice.received.filter(({ at }) => at > since).length > 20);
      const caught = mallory.received.length;
      await alice.until(() => alice.received.filter(({ at }) => at > since).length > 40);
      expect(mallory.received.length).toBe(caught);
    });
  });

  it('goes on over a change of SSRC, as one stream', async () => {
    const alice = await open();
    const bob = await open();
    const aliceStream = await call('alice', alice);
    await call('bob', bob);
    await deliver('bob', aliceStream);
    alice.play(700);
    await hears(bob, 700);
    alice.ssrc = 0x99999999;
    await hears(bob, 700, performance.now() + 200);
    expect((await plane.statistics('alice')).packetsLost).toBeLessThanOrEqual(1);
  });

  it('tolerates comfort noise', async () => {
    const alice = await open();
    const bob = await open();
    const aliceStream = await call('alice', alice);
    await call('bob', bob);
    await deliver('bob', aliceStream);
    for (let i = 0; i < 10; i += 1) alice.send(Uint8Array.of(60), 13);
    alice.play(700);
    await hears(bob, 700);
  });

  describe('DTMF', () => {
    it('is reported once for each press, whatever is lost, and reaches a phone that hears it', async () => {
      const alice = await open();
      const bob = await open();
      const aliceStream = await call('alice', alice);
      await call('bob', bob);
      await deliver('bob', aliceStream);
      const digits: string[] = [];
      plane.on('dtmf', ({ deviceId, digit, durationMs }) =>
        digits.push(`${deviceId} ${digit} ${durationMs}`),
      );
      alice.press('1');
      alice.press('2', [0, 1]);
      alice.press('2', [3, 4]);
      alice.press('#', [5, 6]);
      const events = (): number[] => [
        ...new Set(
          bob.received.filter(({ payloadType }) => payloadType === 101).map(({ timestamp }) => timestamp),
        ),
      ];
      await bob.until(() => events().length === 4);
      expect(digits).toEqual(['alice 1 100', 'alice 2 100', 'alice 2 100', 'alice # 100']);
      const heard = events().map((timestamp) =>
        bob.received.find((p) => p.timestamp === timestamp && p.payloadType === 101)!,
      );
      expect(heard.map(({ payload }) => '0123456789*#'[payload[0]!]).join('')).toBe('122#');
      expect(heard.every(({ marker }) => marker)).toBe(true);
    });

    it('is played as tones to a phone that knows no telephone events', async () => {
      const alice = await open();
      const { sdp } = await plane.openPhone({
        deviceId: 'alice',
        sdpOffer: alice
          .offer()
          .replace(/ 101\r\n/, '\r\n')
          .replace(/a=(rtpmap|fmtp):101.*\r\n/g, ''),
      });
      alice.callTo(sdp);
      await plane.sendDtmf('alice', '6', 200);
      await alice.until(() => alice.received.length > 20);
      const pcm = alice.heardSince(0);
      const strongest = (hertz: number): number =>
        Math.max(
          ...Array.from({ length: 18 }, (_, i) => toneLevel(pcm.slice(i * 160, i * 160 + 320), 8000, hertz)),
        );
      expect(strongest(770)).toBeGreaterThan(0.15);
      expect(strongest(1477)).toBeGreaterThan(0.15);
      expect(toneLevel(pcm.slice(-480), 8000, 770)).toBeLessThan(0.001);
    });

    it('is sent to a phone in the payload type that it has in force', async () => {
      const alice = await open();
      await call('alice', alice);
      const moved = alice.offer().replaceAll('101', '96');
      await plane.updatePhone('alice', moved);
      await plane.sendDtmf('alice', '7', 60);
      const events = (): typeof alice.received =>
        alice.received.filter(({ payloadType }) => payloadType === 96);
      await alice.until(() => events().length === 5);
      expect(events().map(({ payload }) => payload.toString('hex'))).toEqual([
        '070a00a0',
        '070a0140',
        '078a01e0',
        '078a01e0',
        '078a01e0',
      ]);
      expect(new Set(events().map(({ timestamp }) => timestamp)).size).toBe(1);
    });
  });

  it('sends reports, on the muxed port when that was agreed', async () => {
    const alice = await open();
    await call('alice', alice, ['a=rtcp-mux']);
    alice.play(700);
    await alice.until(() => alice.rtcp.length > 0);
    const cursor = new RtcpCursor();
    cursor.open(alice.rtcp[0]!);
    expect(cursor.next()).toBe(true);
    expect([RTCP_SENDER_REPORT, RTCP_RECEIVER_REPORT]).toContain(cursor.type);
  });

  it('frees its ports', async () => {
    await plane.stop();
    plane = openPhonePlane({ rtpPorts: [28000, 28003] });
    for (let i = 0; i < 5; i += 1) {
      await plane.openPhone({ deviceId: `a${i}`, sdpOffer: (await open()).offer() });
      await plane.openPhone({ deviceId: `b${i}`, sdpOffer: (await open()).offer() });
      await expect(
        plane.openPhone({ deviceId: `c${i}`, sdpOffer: (await open()).offer() }),
      ).rejects.toMatchObject({ code: 'NO_PORT' });
      await plane.close(`a${i}`);
      await plane.close(`b${i}`);
    }
  });
});
