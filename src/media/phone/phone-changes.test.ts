import { describe, expect, it, vi } from 'vitest';
import { usePhoneStage } from './testing/phone-stage.js';
import type { TestPhone } from './testing/test-phone.js';

// Calls take real time, and a busy machine takes more of it.
vi.setConfig({ testTimeout: 20_000, hookTimeout: 20_000 });

/** How many samples of what a phone got since a time are more than noise. */
function loud(phone: TestPhone, since: number): number {
  return phone.heardSince(since).filter((sample) => Math.abs(sample) > 500).length;
}

describe('a phone call that changes', () => {
  const stage = usePhoneStage();

  describe('held', () => {
    it.each([
      ['sendonly', ['a=sendonly']],
      ['inactive', ['a=inactive']],
      ['c=0.0.0.0', ['c=IN IP4 0.0.0.0']],
    ])('by %s hears nothing until it is resumed', async (_how, lines) => {
      const alice = await stage.phone();
      await stage.call('alice', alice);
      await alice.until(() => alice.received.length > 5);
      expect((await stage.handle('alice').update(alice.offer(lines))).held).toBe(true);
      const sent = stage.plane.statistics('alice').packetsSent;
      const bob = await stage.phone();
      await stage.call('bob', bob);
      await bob.until(() => bob.received.length > 10);
      expect(stage.plane.statistics('alice').packetsSent).toBe(sent);

      const resumed = performance.now();
      expect((await stage.handle('alice').update(alice.offer())).held).toBe(false);
      await alice.until(() => alice.received.filter(({ at }) => at > resumed).length > 5);
    });
  });

  describe('that holds', () => {
    it.each([
      ['sendonly', ['a=sendonly']],
      ['inactive, whatever comes', ['a=inactive']],
      ['c=0.0.0.0', ['c=IN IP4 0.0.0.0']],
    ])('by %s is not heard by others until it resumes; its digits count', async (_how, lines) => {
      const { alice, bob } = await stage.aliceAndBob();
      alice.play(440);
      await stage.hears(bob, 440);
      await stage.handle('alice').update(alice.offer(lines));
      alice.press('5');
      // Packets that were on their way are played to the end.
      await bob.until(() => loud(bob, performance.now() - 200) === 0);
      const silentAt = performance.now();
      await bob.until(() => bob.received.filter(({ at }) => at > silentAt).length > 25);
      expect(loud(bob, silentAt)).toBe(0);
      await stage.handle('alice').update(alice.offer());
      await stage.hears(bob, 440, performance.now());
      const digits = stage.events.flatMap((event) => (event.type === 'dtmf' ? [event.digit] : []));
      expect(digits).toEqual(['5']);
    });

    it('is heard if the operator allows it', async () => {
      await stage.restart({ passHeldAudio: true });
      const { alice, bob } = await stage.aliceAndBob();
      alice.play(440);
      expect((await stage.handle('alice').update(alice.offer(['a=sendonly']))).held).toBe(true);
      await stage.hears(bob, 440, performance.now());
    });

    it.each([
      ['as it is from the start by a=inactive', ['a=inactive'], true],
      ['as it is from the start by c=0.0.0.0', ['c=IN IP4 0.0.0.0'], true],
      ['but not as a source of sound that never listened', ['a=sendonly'], false],
    ])('is on hold %s', async (_how, lines, held) => {
      const alice = await stage.phone();
      const description = await stage.open('alice', alice.offer(lines));
      expect(description.held).toBe(held);
      const bob = await stage.phone();
      await stage.call('bob', bob);
      await stage.deliver('bob', description.stream!.streamId);
      alice.callTo(description.sdp);
      alice.play(440);
      await bob.until(() => bob.received.length > 25);
      expect(loud(bob, 0) > 0).toBe(!held);
    });
  });

  it('whose audio is switched off by port 0 is answered so, held, and heard again later (RFC 3264 section 8.2)', async () => {
    const alice = await stage.phone();
    await stage.call('alice', alice);
    await alice.until(() => alice.received.length > 5);
    const off = alice.offer().replace(/m=audio \d+/, 'm=audio 0');
    const { sdp, held } = await stage.handle('alice').update(off);
    expect(sdp.match(/^m=.*/gm)).toEqual([expect.stringMatching(/^m=audio 0 /)]);
    expect(held).toBe(true);
    const sent = stage.plane.statistics('alice').packetsSent;
    const bob = await stage.phone();
    await stage.call('bob', bob);
    await bob.until(() => bob.received.length > 10);
    expect(stage.plane.statistics('alice').packetsSent).toBe(sent);

    const resumed = performance.now();
    expect((await stage.handle('alice').update(alice.offer())).held).toBe(false);
    await alice.until(() => alice.received.filter(({ at }) => at > resumed).length > 5);
  });

  it('reports lost media once, but not for a phone on hold', async () => {
    await stage.restart({ mediaTimeoutMs: 500 });
    const alice = await stage.phone();
    const bob = await stage.phone();
    await stage.call('alice', alice, ['a=inactive']);
    await stage.call('bob', bob);
    const lost = (): string[] =>
      stage.events.flatMap((event) =>
        event.type === 'mediaLost' ? [`${event.deviceId} ${event.cause}`] : [],
      );
    await vi.waitFor(() => expect(lost()).not.toEqual([]), { timeout: 15_000 });
    await bob.until(() => bob.received.length > 120);
    expect(lost()).toEqual(['bob timeout']);
  });

  it('follows a phone that moves, and ignores what still comes from its old address', async () => {
    const alice = await stage.phone();
    await stage.call('alice', alice);
    alice.play(700);
    await alice.until(() => alice.received.length > 10);
    const moved = await stage.phone();
    moved.callTo((await stage.handle('alice').update(moved.offer())).sdp);
    await moved.until(() => moved.received.length > 20);
    const late = alice.received.length;
    moved.play(700);
    await moved.until(() => moved.received.length > 40);
    expect(alice.received.length - late).toBe(0);
  });

  it('changes the codec within the call: the stream stays, its track is replaced', async () => {
    const { alice, bob, aliceStream } = await stage.aliceAndBob();
    alice.play(700);
    await stage.hears(bob, 700);
    alice.stop();
    const changed = await stage.phone({ codec: 'G722' });
    const { sdp, stream } = await stage.handle('alice').update(changed.offer());
    expect(stream).toMatchObject({ streamId: aliceStream, codecs: ['G722'] });
    changed.callTo(sdp);
    changed.play(1500);
    await stage.hears(bob, 1500);
  });

  describe('from another address than the SDP says', () => {
    it('is found by its packets', async () => {
      const alice = await stage.phone();
      const { sdp } = await stage.open('alice', alice.offer([], 9));
      alice.callTo(sdp);
      alice.play(700);
      await alice.until(() => alice.received.length > 10);
    });

    it('does not hand the call to a stranger while the phone is there', async () => {
      const alice = await stage.phone();
      await stage.call('alice', alice);
      alice.play(700);
      await alice.until(() => alice.received.length > 5);
      const mallory = await stage.phone();
      mallory.callTo((await stage.handle('alice').update(alice.offer())).sdp);
      mallory.play(1300);
      const before = alice.received.length;
      await alice.until(() => alice.received.length > before + 40);
      expect(mallory.received).toEqual([]);
    });

    it('goes to the phone though a stranger has sent first', async () => {
      const alice = await stage.phone();
      const mallory = await stage.phone();
      const { sdp } = await stage.open('alice', alice.offer());
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
});
