import { afterEach, describe, expect, it, vi } from 'vitest';
import { findAudioCodec } from '../codecs/index.js';
import { RtcpCursor, readSenderInfo, RTCP_SENDER_REPORT, readUint32, writeRtcpReport } from '../rtp/index.js';
import { extendedReport, voipMetricsBlock } from '../rtp/testing/packets.js';
import { usePhoneStage } from './testing/phone-stage.js';
import type { TestPhone } from './testing/test-phone.js';

/** The first sender report that a phone got. */
async function senderReport(phone: TestPhone): Promise<{ ssrc: number; middle: number }> {
  const find = (): { ssrc: number; middle: number } | undefined => {
    for (const packet of phone.rtcp) {
      const cursor = new RtcpCursor();
      cursor.open(packet);
      if (!cursor.next() || cursor.type !== RTCP_SENDER_REPORT) continue;
      const { ntpSeconds, ntpFraction } = readSenderInfo(packet, cursor)!;
      return {
        ssrc: readUint32(packet, cursor.start),
        middle: ((ntpSeconds << 16) | (ntpFraction >>> 16)) >>> 0,
      };
    }
    return undefined;
  };
  await phone.until(() => find() !== undefined);
  return find()!;
}

const block = (parts: object) => ({
  fractionLost: 0,
  packetsLost: 0,
  highestSequence: 70_000,
  jitter: 0,
  lastSenderReport: 0,
  delaySinceLastSenderReport: 0,
  ssrc: 0,
  ...parts,
});

describe('the quality of a phone', () => {
  const stage = usePhoneStage();
  afterEach(() => void vi.restoreAllMocks());
  const quality = (deviceId: string) => stage.plane.statistics(deviceId).quality!;

  it('is what comes from it, and what it reports of what it gets', async () => {
    const alice = await stage.phone();
    await stage.call('alice', alice, ['a=rtcp-mux']);
    expect(quality('alice')).toEqual({ received: { packets: 0 }, sent: { packets: 0 } });
    alice.play(700);
    const { ssrc, middle } = await senderReport(alice);
    const came = performance.now();
    await alice.until(() => alice.received.length >= 60);
    const delaySinceLastSenderReport = Math.round((performance.now() - came) * 65.536);
    const report = block({
      ssrc,
      packetsLost: 3,
      jitter: 40,
      lastSenderReport: middle,
      delaySinceLastSenderReport,
    });
    alice.sendRaw(writeRtcpReport({ ssrc: alice.ssrc, blocks: [report], cname: 'alice' }));
    await vi.waitFor(() => expect(quality('alice').sent).toMatchObject({ lost: 3, jitterMs: 5 }));
    const { received, sent } = quality('alice');
    expect(sent.roundTripMs).toBeGreaterThanOrEqual(0);
    expect(received.roundTripMs).toBe(sent.roundTripMs);
    expect(sent.mos).toBeLessThan(4.4);
    expect(received.packets).toBeGreaterThan(40);
    expect(received.lost).toBe(0);
    expect(received.mos).toBeGreaterThan(4);

    const metrics = voipMetricsBlock({ ssrc, discard: 128 });
    alice.sendRaw(extendedReport(metrics));
    await vi.waitFor(() => expect(quality('alice').sent.discarded).toBeGreaterThan(20));
    expect(quality('alice').sent.mos).toBeLessThan(sent.mos!);
  });

  it('ignores and counts reports that cannot be true, and those about other streams', async () => {
    const alice = await stage.phone();
    await stage.call('alice', alice, ['a=rtcp-mux']);
    alice.play(700);
    const { ssrc } = await senderReport(alice);
    const ignored = (): number => stage.plane.counters().reportsIgnored;
    const wrong = voipMetricsBlock({ ssrc });
    wrong.writeUInt16BE(3, 2);
    const blocks = [
      block({ ssrc, jitter: 0xffffffff }),
      block({ ssrc, lastSenderReport: 77 }),
      block({ ssrc: ssrc ^ 1, packetsLost: 9 }),
    ];
    alice.sendRaw(writeRtcpReport({ ssrc: alice.ssrc, blocks, cname: 'alice' }));
    alice.sendRaw(extendedReport(wrong));
    await vi.waitFor(() => expect(ignored()).toBe(3));
    expect(quality('alice').sent).toMatchObject({ lost: 0, jitterMs: 0 });
    expect(quality('alice').sent).not.toHaveProperty('roundTripMs');
    await stage.handle('alice').close();
    expect(ignored()).toBe(3);
  });

  it('says how much of it had to be made up where a phone hears it', async () => {
    const { alice } = await stage.aliceAndBob();
    alice.play(700);
    await vi.waitFor(() => expect(quality('alice').received.packets).toBeGreaterThan(10));
    alice.skip();
    await alice.until(() => quality('alice').received.lost === 1);
    await alice.until(() => quality('alice').received.concealedMs! > 0);
    expect(quality('alice').received).toHaveProperty('discarded');
    await stage.deliver('bob', 'nothing');
    expect(quality('alice').received.concealedMs).toBeGreaterThan(0);
    expect(quality('bob').received).toEqual({ packets: 0 });
  });

  const phoneWith = (codec: string) => stage.phone({ codec, ...(codec === 'opus' && { clockRate: 48_000 }) });

  it.each([
    ['though nobody hears it or asked', 'PCMU', false, false],
    ['as was asked for, though nobody hears it', 'G722', true, false],
    ['as was asked for, though nobody hears it', 'opus', true, false],
    ['by what a mix decodes for somebody who hears it', 'opus', false, true],
  ])('tells when somebody speaks, %s (%s)', async (_how, codec, metersSpeech, isHeard) => {
    const alice = await phoneWith(codec);
    const { sdp, stream } = await stage.open('alice', alice.offer(), { metersSpeech });
    alice.callTo(sdp);
    const { streamId } = stream!;
    if (isHeard) {
      await stage.call('bob', await stage.phone());
      await stage.deliver('bob', streamId);
    }
    const told = () => stage.events.filter(({ type }) => type === 'speaking');
    // Some silence first: a tone from the start on counts as noise.
    alice.play(500, 0);
    await alice.until(() => alice.received.length >= 25);
    alice.stop();
    alice.play(500);
    await vi.waitFor(() => expect(told()).toHaveLength(1), { timeout: 5_000 });
    expect(told()[0]).toMatchObject({ deviceId: 'alice', streamId, isSpeaking: true });
    // Amplitude 8000 of 32768, as a mean square.
    expect(quality('alice').received.levelDb).toBeCloseTo(-15.3, 0);
    alice.stop();
    await vi.waitFor(() => expect(told()).toHaveLength(2), { timeout: 5_000 });
    expect(told()[1]).toMatchObject({ isSpeaking: false });
  });

  it.each(['PCMU', 'G722', 'opus'])('tells how loud it is while that is watched (%s)', async (codec) => {
    const alice = await phoneWith(codec);
    const streamId = await stage.call('alice', alice);
    const told = () => stage.events.flatMap((event) => (event.type === 'levels' ? [event.levels] : []));
    alice.play(500);
    await alice.until(() => alice.received.length >= 25);
    expect(told()).toEqual([]);
    stage.handle('alice').watchLevels(true);
    await vi.waitFor(() => expect(told().length).toBeGreaterThan(2), { timeout: 5_000 });
    // Amplitude 8000 of 32768, as a mean square.
    expect(told()[1]).toEqual([{ streamId, levelDb: expect.closeTo(-15.3, 0) as number }]);
    alice.stop();
    await vi.waitFor(() => expect(told().at(-1)).toEqual([]), { timeout: 5_000 });
  });

  it.each(['G722', 'opus'])('decodes nothing for a level that nobody asked for (%s)', async (codec) => {
    const createLevelMeter = vi.spyOn(
      findAudioCodec(codec, codec === 'opus' ? 48_000 : 8000)!,
      'createLevelMeter',
    );
    const alice = await phoneWith(codec);
    await stage.call('alice', alice);
    alice.play(500);
    await vi.waitFor(() => expect(quality('alice').received.packets).toBeGreaterThan(25));
    expect(createLevelMeter).not.toHaveBeenCalled();
    expect(stage.events.filter(({ type }) => type === 'speaking')).toEqual([]);
    expect(quality('alice').received).not.toHaveProperty('levelDb');
  });
});
