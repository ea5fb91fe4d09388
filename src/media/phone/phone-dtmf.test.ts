import { describe, expect, it, vi } from 'vitest';
import { usePhoneStage } from './testing/phone-stage.js';
import { toneLevel } from './testing/spectrum.js';

// Calls take real time, and a busy machine takes more of it.
vi.setConfig({ testTimeout: 20_000, hookTimeout: 20_000 });

describe('the digits of phones', () => {
  const stage = usePhoneStage();

  it('are reported once for each press, whatever is lost, and reach a phone that subscribes to it', async () => {
    const { alice, bob } = await stage.aliceAndBob();
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
    const digits = stage.events.flatMap((event) =>
      event.type === 'dtmf' ? [`${event.deviceId} ${event.digit} ${event.durationMs}`] : [],
    );
    expect(digits).toEqual(['alice 1 100', 'alice 2 100', 'alice 2 100', 'alice # 100']);
    const heard = events().map((timestamp) =>
      bob.received.find((p) => p.timestamp === timestamp && p.payloadType === 101)!,
    );
    expect(heard.map(({ payload }) => '0123456789*#'[payload[0]!]).join('')).toBe('122#');
    expect(heard.every(({ marker }) => marker)).toBe(true);
  });

  it('are played as tones to a phone that knows no telephone events', async () => {
    const alice = await stage.phone();
    const withoutEvents = alice
      .offer()
      .replace(/ 101\r\n/, '\r\n')
      .replace(/a=(rtpmap|fmtp):101.*\r\n/g, '');
    const { sdp } = await stage.open('alice', withoutEvents);
    alice.callTo(sdp);
    await stage.handle('alice').sendDtmf({ digits: '6', durationMs: 200 });
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

  it('are played for as long as was asked, with silence between them', async () => {
    const alice = await stage.phone();
    const withoutEvents = alice
      .offer()
      .replace(/ 101\r\n/, '\r\n')
      .replace(/a=(rtpmap|fmtp):101.*\r\n/g, '');
    alice.callTo((await stage.open('alice', withoutEvents)).sdp);
    await stage.handle('alice').sendDtmf({ digits: '66', durationMs: 120, gapMs: 160 });
    await alice.until(() => alice.received.length > 32);
    const pcm = alice.heardSince(0);
    const frames = Array.from({ length: Math.floor(pcm.length / 160) }, (_, i) =>
      toneLevel(pcm.slice(i * 160, (i + 1) * 160), 8000, 770) > 0.15 ? 'x' : '.',
    ).join('');
    expect(frames.replace(/^\.*/, '').slice(0, 28)).toBe('xxxxxx........xxxxxx........');
  });

  it('are refused as a whole when too many wait', async () => {
    const alice = await stage.phone();
    await stage.call('alice', alice);
    const long = { digits: '1'.repeat(32), durationMs: 2000 };
    for (let i = 0; i < 3; i += 1) await stage.handle('alice').sendDtmf(long);
    await stage.handle('alice').sendDtmf({ ...long, digits: '2'.repeat(31) });
    await expect(stage.handle('alice').sendDtmf({ digits: '123' })).rejects.toMatchObject({
      code: 'TOO_MANY_DIGITS',
    });
    await stage.handle('alice').close();
    await expect(stage.handle('alice').sendDtmf({ digits: '1' })).rejects.toMatchObject({
      code: 'UNKNOWN_DEVICE',
    });
  });

  it('leave nothing behind in what a phone hears of the others (livekit/sip #701)', async () => {
    const [alice, bob] = [await stage.phone(), await stage.phone()];
    const withoutEvents = bob
      .offer()
      .replace(/ 101\r\n/, '\r\n')
      .replace(/a=(rtpmap|fmtp):101.*\r\n/g, '');
    bob.callTo((await stage.open('bob', withoutEvents)).sdp);
    await stage.deliver('bob', await stage.call('alice', alice));
    alice.play(500);
    for (const digit of '159D') await stage.handle('bob').sendDtmf({ digits: digit, durationMs: 40 });
    await stage.hears(bob, 500, performance.now() + 1000);
    const pcm = bob.heardFrom(-10);
    for (const hertz of [697, 770, 852, 941, 1209, 1336, 1477, 1633])
      expect(toneLevel(pcm, 8000, hertz)).toBeLessThan(0.02);
  });

  it('are sent to a phone in the payload type that it has in force', async () => {
    const alice = await stage.phone();
    await stage.call('alice', alice);
    const moved = alice.offer().replaceAll('101', '96');
    await stage.handle('alice').update(moved);
    await stage.handle('alice').sendDtmf({ digits: '7', durationMs: 60 });
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
