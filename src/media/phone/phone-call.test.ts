import { describe, expect, it, vi } from 'vitest';
import { RTCP_RECEIVER_REPORT, RTCP_SENDER_REPORT, RtcpCursor } from '../rtp/index.js';
import { usePhoneStage } from './testing/phone-stage.js';

// Calls take real time, and a busy machine takes more of it.
vi.setConfig({ testTimeout: 20_000, hookTimeout: 20_000 });

describe('a phone call', () => {
  const stage = usePhoneStage();

  describe.each(['PCMU', 'PCMA', 'G722', 'opus'])('with %s', (codec) => {
    it('is heard, and hears, with every other codec', async () => {
      const alice = await stage.phone({ codec, clockRate: codec === 'opus' ? 48000 : 8000 });
      const aliceStream = await stage.call('alice', alice);
      alice.play(700);
      for (const [i, other] of ['PCMU', 'G722', 'opus'].entries()) {
        const bob = await stage.phone({ codec: other, clockRate: other === 'opus' ? 48000 : 8000 });
        await stage.call(`bob${i}`, bob);
        await stage.deliver(`bob${i}`, aliceStream);
        await stage.hears(bob, 700);
      }
    });
  });

  it.each([10, 30, 40, 60])('sends packets of %i ms when asked to', async (ptime) => {
    const alice = await stage.phone();
    const bob = await stage.phone();
    const aliceStream = await stage.call('alice', alice);
    await stage.call('bob', bob, [`a=ptime:${ptime}`]);
    alice.play(700);
    await stage.deliver('bob', aliceStream);
    await stage.hears(bob, 700);
    const [first, second] = bob.received.slice(-2);
    expect(first!.payload.length).toBe(ptime * 8);
    expect((second!.timestamp - first!.timestamp) >>> 0).toBe(ptime * 8);
  });

  it('hears IPv6 phones, and is heard by them', async () => {
    const alice = await stage.phone({ host: '::1' });
    const bob = await stage.phone();
    const aliceStream = await stage.call('alice', alice);
    const bobStream = await stage.call('bob', bob);
    alice.play(700);
    bob.play(1300);
    await stage.deliver('bob', aliceStream);
    await stage.deliver('alice', bobStream);
    await stage.hears(bob, 700);
    await stage.hears(alice, 1300);
  });

  it('stays where it is when an IPv6 phone holds with an IPv4 null address', async () => {
    const alice = await stage.phone({ host: '::1' });
    const { sdp } = await stage.open('alice', alice.offer());
    const held = await stage.handle('alice').update(alice.offer(['c=IN IP4 0.0.0.0']));
    expect(held.held).toBe(true);
    expect(held.sdp).toContain(/m=audio \d+/.exec(sdp)![0]);
    expect(held.sdp).toContain('c=IN IP6 ::1');
  });

  it('starts with our offer when the phone makes none', async () => {
    const alice = await stage.phone();
    const offered = await stage.open('alice');
    expect(offered.stream).toBeUndefined();
    alice.callTo(offered.sdp);
    const agreed = await stage.handle('alice').answer(alice.offer());
    expect(agreed.stream?.kinds).toEqual(['audio']);
    await alice.until(() => alice.received.length > 5);
  });

  it('goes on over a change of SSRC, as one stream', async () => {
    const { alice, bob } = await stage.aliceAndBob();
    alice.play(700);
    await stage.hears(bob, 700);
    alice.ssrc = 0x99999999;
    await stage.hears(bob, 700, performance.now() + 200);
    expect(stage.plane.statistics('alice').packetsLost).toBeLessThanOrEqual(1);
  });

  it('is heard on after frames that are odd Opus, or none (livekit/sip #465)', async () => {
    const { alice, bob } = await stage.aliceAndBob({ codec: 'opus', clockRate: 48000 });
    alice.play(700);
    await stage.hears(bob, 700);
    const odd = [[], [0xf8], [0xff], [0xfb, 0x00], [0xfb, 0x3f], [0x0b, 0x31, 1, 2], [0xfd, 1], [0xfe, 0xff]];
    for (const bytes of odd) alice.send(Uint8Array.from(bytes), alice.payloadType);
    await stage.hears(bob, 700, performance.now() + 200);
  });

  it('takes no comfort noise from an answer whose offer had none', async () => {
    const alice = await stage.phone();
    await stage.open('alice');
    await stage.handle('alice').answer(alice.offer().replace(/(m=audio.*)/, '$1 13'));
    expect((await stage.handle('alice').update()).sdp).not.toContain('CN/8000');
    await stage.handle('alice').update(alice.offer().replace(/(m=audio.*)/, '$1 13'));
    expect((await stage.handle('alice').update()).sdp).toContain('a=rtpmap:13 CN/8000');
    await stage.handle('alice').answer(alice.offer().replace(/(m=audio.*)/, '$1 13'));
    expect((await stage.handle('alice').update()).sdp).toContain('a=rtpmap:13 CN/8000');
  });

  it('is heard after comfort noise', async () => {
    const { alice, bob } = await stage.aliceAndBob();
    for (let i = 0; i < 10; i += 1) alice.send(Uint8Array.of(60), 13);
    alice.play(700);
    await stage.hears(bob, 700);
  });

  it('sends reports, on the muxed port when that was agreed', async () => {
    const alice = await stage.phone();
    await stage.call('alice', alice, ['a=rtcp-mux']);
    alice.play(700);
    await alice.until(() => alice.rtcp.length > 0);
    const cursor = new RtcpCursor();
    cursor.open(alice.rtcp[0]!);
    expect(cursor.next()).toBe(true);
    expect([RTCP_SENDER_REPORT, RTCP_RECEIVER_REPORT]).toContain(cursor.type);
  });

  it('reports once that the phone was heard, at its first packet', async () => {
    const { alice, bob } = await stage.aliceAndBob();
    const heard = (): string[] =>
      stage.events.flatMap((event) => (event.type === 'heard' ? [event.deviceId] : []));
    await bob.until(() => bob.received.length > 5);
    expect(heard()).toEqual([]);
    alice.play(700);
    await stage.hears(bob, 700);
    expect(heard()).toEqual(['alice']);
  });

  it('frees its ports', async () => {
    await stage.restart({ rtpPorts: [28000, 28003] });
    for (let i = 0; i < 5; i += 1) {
      await stage.open(`a${i}`, (await stage.phone()).offer());
      await stage.open(`b${i}`, (await stage.phone()).offer());
      await expect(stage.open(`c${i}`, (await stage.phone()).offer())).rejects.toMatchObject({
        code: 'NO_PORT',
      });
      await stage.handle(`a${i}`).close();
      await stage.handle(`b${i}`).close();
    }
  });
});
