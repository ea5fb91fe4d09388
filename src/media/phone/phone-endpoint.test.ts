import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { PhoneHandle } from '../door.js';
import { toneLevel } from './testing/spectrum.js';
import { TestPhone } from './testing/test-phone.js';
import { PhonePlane } from './testing/test-plane.js';

// Calls take real time, and a busy machine takes more of it.
vi.setConfig({ testTimeout: 20_000, hookTimeout: 20_000 });

describe('two phones over UDP', () => {
  let plane: PhonePlane;
  let bobsEnd: PhoneHandle;
  let alice: TestPhone;
  let bob: TestPhone;
  let aliceStream: string;

  beforeEach(async () => {
    plane = new PhonePlane();
    alice = await TestPhone.open();
    bob = await TestPhone.open({ codec: 'PCMA' });
    const nothing = (): void => undefined;
    const alicesEnd = plane.open({ kind: 'phone', deviceId: 'alice', sdpOffer: alice.offer() }, nothing);
    bobsEnd = plane.open({ kind: 'phone', deviceId: 'bob', sdpOffer: bob.offer() }, nothing);
    const [a, b] = await Promise.all([alicesEnd.opened, bobsEnd.opened]);
    alice.callTo(a.sdp);
    bob.callTo(b.sdp);
    aliceStream = a.stream!.streamId;
  });

  afterEach(async () => {
    await Promise.all([alice.close(), bob.close()]);
    await plane.stop();
  });

  it('sends steady silence to a phone that nothing is delivered to', async () => {
    await bob.until(() => bob.received.length >= 25);
    const packets = bob.received.slice(0, 25);
    expect(packets.every(({ payloadType, payload }) => payloadType === 8 && payload.length === 160)).toBe(
      true,
    );
    expect(packets.map(({ sequence }) => (sequence - packets[0]!.sequence) & 0xffff)).toEqual(
      packets.map((_, i) => i),
    );
    // A process that was held up skips frames: the timestamps then jump by whole ones.
    const steps = packets.slice(1).map(({ timestamp }, i) => (timestamp - packets[i]!.timestamp) >>> 0);
    expect(steps.every((step) => step >= 160 && step % 160 === 0)).toBe(true);
    expect(packets.map(({ marker }) => marker)).toEqual(packets.map((_, i) => i === 0));
    expect(Math.max(...bob.heardSince(0).map(Math.abs))).toBeLessThanOrEqual(8);
  });

  it('lets one hear the other, and stops within 100 ms of a changed delivery', async () => {
    alice.play(700);
    await bobsEnd.setDelivery([{ streamId: aliceStream, kinds: ['audio'] }]);
    await bob.until(() => toneLevel(bob.heardSince(0).slice(-1600), 8000, 700) > 0.1);
    const pcm = bob.heardSince(0).slice(-1600);
    expect(toneLevel(pcm, 8000, 700)).toBeGreaterThan(50 * toneLevel(pcm, 8000, 1100));

    await bobsEnd.setDelivery([]);
    // Nothing is lost on loopback: what was sent so far, and 100 ms more.
    const last = plane.statistics('bob').packetsSent + 5;
    await bob.until(() => bob.received.length >= last + 10);
    expect(toneLevel(bob.heardFrom(last), 8000, 700)).toBeLessThan(0.001);
  });

  it('never lets a phone hear itself', async () => {
    alice.play(700);
    await alice.until(() => alice.received.length >= 20);
    expect(toneLevel(alice.heardSince(0), 8000, 700)).toBeLessThan(0.001);
  });

  it('counts what went through', async () => {
    alice.play(700);
    await alice.until(() => alice.received.length >= 20);
    const statistics = plane.statistics('alice');
    expect(statistics.packetsSent).toBeGreaterThanOrEqual(20);
    expect(statistics.packetsReceived).toBeGreaterThanOrEqual(15);
    expect(statistics.bytesReceived).toBe(statistics.packetsReceived * 172);
    expect(statistics.packetsLost).toBe(0);
  });
});
