import { describe, expect, it, vi } from 'vitest';
import { SRTP_SUITES } from '../srtp/index.js';
import { usePhoneStage } from './testing/phone-stage.js';

// Calls take real time, and a busy machine takes more of it.
vi.setConfig({ testTimeout: 20_000, hookTimeout: 20_000 });

describe('an encrypted phone call', () => {
  const stage = usePhoneStage();

  it.each(SRTP_SUITES.map(({ name }) => name))('is encrypted both ways with %s', async (suite) => {
    const alice = await stage.phone();
    const bob = await stage.phone();
    alice.encrypt(suite);
    bob.encrypt(suite);
    const aliceStream = await stage.call('alice', alice);
    await stage.call('bob', bob);
    alice.play(700);
    await stage.deliver('bob', aliceStream);
    await stage.hears(bob, 700);
    expect(bob.unauthentic).toBe(0);

    // A re-INVITE with another key of the phone, and ours as before.
    alice.encrypt(suite);
    alice.callTo((await stage.handle('alice').update(alice.offer())).sdp);
    await stage.hears(bob, 700, performance.now() + 200);
  });

  it('goes on over a change of SSRC (Janus #473)', async () => {
    const [alice, bob] = [await stage.phone(), await stage.phone()];
    alice.encrypt('AES_CM_128_HMAC_SHA1_80');
    const aliceStream = await stage.call('alice', alice);
    await stage.call('bob', bob);
    await stage.deliver('bob', aliceStream);
    alice.play(700);
    await stage.hears(bob, 700);
    const { packetsReceived } = stage.plane.statistics('alice');
    alice.ssrc = 0x99999999;
    await stage.hears(bob, 700, performance.now() + 200);
    expect(stage.plane.statistics('alice').packetsReceived).toBeGreaterThan(packetsReceived + 5);
  });

  it('refuses an answer that takes another crypto line than was offered, and goes on as before', async () => {
    const alice = await stage.phone();
    alice.encrypt('AES_CM_128_HMAC_SHA1_80');
    await stage.call('alice', alice);
    const { sdp } = await stage.handle('alice').update();
    expect(sdp).toContain('RTP/SAVP');
    expect(sdp).toContain('a=crypto:1 ');
    await expect(
      stage.handle('alice').answer(alice.offer().replace('a=crypto:1 ', 'a=crypto:2 ')),
    ).rejects.toMatchObject({ code: 'BAD_SDP' });
    const since = performance.now();
    await alice.until(() => alice.received.filter(({ at }) => at > since).length > 5);
    expect(alice.unauthentic).toBe(0);
    expect((await stage.handle('alice').answer(alice.offer())).held).toBe(false);
  });

  it('refuses what is not encrypted with the right key', async () => {
    const alice = await stage.phone();
    alice.encrypt('AES_CM_128_HMAC_SHA1_80');
    await stage.call('alice', alice);
    // The gateway does not know this key: it was made after the offer.
    alice.encrypt('AES_CM_128_HMAC_SHA1_80');
    alice.play(700);
    await alice.until(() => alice.received.length >= 20);
    expect(stage.plane.statistics('alice').packetsReceived).toBe(0);
  });
});
