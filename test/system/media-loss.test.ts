import { expect, it } from 'vitest';
import type { ClientPage } from '../support/chromium.js';
import { useHopStage } from '../support/hop-stage.js';
import type { HopNetwork } from '../support/lossy-hop.js';
import { until } from '../support/until.js';

/** About six seconds of pictures. */
const FRAMES = 120;
const WITHIN_MS = 25_000;
/** Part of the packets that a bad network loses, and of the feedback. */
const LOSS = 0.05;
/** Part of the time that pictures may freeze at that loss. */
const MOST_FROZEN = 0.02;

const stage = useHopStage();

interface Seen {
  /** As parts of the time, and of the sound. */
  readonly frozen: number;
  readonly concealed: number;
  readonly framesPerSecond: number;
  readonly lost: number;
}

/** What a page made of a stream while it decoded {@link FRAMES} frames. */
async function watch(page: ClientPage, streamId: string): Promise<Seen> {
  const [before, startedAt] = [await page.counters(streamId), performance.now()];
  await page.seesFrames(streamId, FRAMES, WITHIN_MS);
  const [after, seconds] = [await page.counters(streamId), (performance.now() - startedAt) / 1000];
  const frozen = after.video!.totalFreezesSeconds - before.video!.totalFreezesSeconds;
  const concealed = after.audio!.concealedSamples - before.audio!.concealedSamples;
  const samples = after.audio!.totalSamples - before.audio!.totalSamples;
  const frames = after.video!.framesDecoded - before.video!.framesDecoded;
  const lost = after.audio!.packetsLost - before.audio!.packetsLost;
  return {
    frozen: frozen / seconds,
    concealed: concealed / samples,
    framesPerSecond: frames / seconds,
    lost,
  };
}

it('keeps pictures moving and sound complete on networks that lose 5 % of packets, and does not affect others', async () => {
  const session = await stage.rest.session();
  const [speakers, badOnes, goodOnes] = [{ loss: 0 }, { loss: 0 }, { loss: 0 }];
  const speaker = await stage.open(session, speakers);
  await speaker.publishTone(440, { video: true });
  const bad = await stage.open(session, badOnes, { client: '0.9' });
  const { streamId } = await bad.receives();
  await bad.hears(440);
  const good = await stage.open(session, goodOnes);
  await good.hears(440);
  const both = (): Promise<[Seen, Seen]> => Promise.all([watch(bad, streamId), watch(good, streamId)]);
  /** Measures again, at most twice, where it does not hold: the cause may have been the busy machine. */
  const holds = async (expectations: (onBad: Seen, onGood: Seen) => void): Promise<void> => {
    for (let again = 2; ; again -= 1) {
      const seen = await both();
      try {
        expectations(...seen);
        return;
      } catch (error) {
        if (again === 0) throw error;
      }
    }
  };
  const [cleanBad, cleanGood] = await both();

  badOnes.loss = LOSS;
  await holds((lossy, unharmed) => {
    expect(lossy.lost).toBeGreaterThan(0);
    // Compare with the clean run and the good network, on which a busy machine has the same effect.
    expect(lossy.frozen - Math.max(cleanBad.frozen, unharmed.frozen)).toBeLessThan(MOST_FROZEN);
    // Nothing more than what is lost has to be made up; a broken stream would be concealed throughout.
    expect(lossy.concealed - cleanBad.concealed).toBeLessThan(2.5 * LOSS);
    expect(unharmed.lost).toBe(0);
    expect(unharmed.framesPerSecond).toBeGreaterThan(0.9 * cleanGood.framesPerSecond);
  });
  await bad.hears(440);

  speakers.loss = LOSS;
  await holds((twice, once) => {
    expect(once.lost).toBeGreaterThan(0);
    expect(once.frozen - cleanGood.frozen).toBeLessThan(MOST_FROZEN);
    expect(once.concealed - cleanGood.concealed).toBeLessThan(2.5 * LOSS);
    // Lost on both hops, that is a tenth: pictures may stop for a moment, and go on.
    expect(twice.frozen - cleanBad.frozen).toBeLessThan(0.1);
    expect(twice.concealed - cleanBad.concealed).toBeLessThan(5 * LOSS);
  });
  await bad.hears(440);
}, 150_000);

/** Of a busy picture, far more than a narrow network carries. */
const WHOLE_BITRATE = 400_000;

it('shows a picture that is small and moves, with whole sound, by a network of 250 kbit/s', async () => {
  const session = await stage.rest.session();
  const speaker = await stage.open(session, { loss: 0 });
  await speaker.publish({ toneHz: 440, busy: true });
  const narrow: HopNetwork = { loss: 0 };
  const page = await stage.open(session, narrow);
  const { streamId } = await page.receives();
  await until(
    'a picture that a narrow network would not carry',
    async () => (await speaker.sentVideo()).targetBitrate > WHOLE_BITRATE,
    { withinMs: 90_000, seen: () => speaker.sentVideo() },
  );

  narrow.bitsPerSecond = 250_000;
  const isSmall = async (): Promise<boolean> => {
    // Nothing is decoded at first.
    const { width = 640 } = (await page.counters(streamId)).video ?? {};
    return width < 640 && (await speaker.sentVideo()).targetBitrate < 250_000;
  };
  await until('a smaller one', isSmall, {
    withinMs: 60_000,
    seen: async () => [await speaker.sentVideo(), await page.counters(streamId)],
  });
  let seen: (Seen & { readonly bitrate: number }) | undefined;
  const measured = async (): Promise<boolean> => {
    const before = [await speaker.sentVideo(), performance.now()] as const;
    const found = await watch(page, streamId);
    const after = [await speaker.sentVideo(), performance.now()] as const;
    const bitrate = ((after[0].bytes - before[0].bytes) * 8_000) / (after[1] - before[1]);
    seen = { ...found, bitrate };
    // Near to what the network carries beside the sound, not the least that is asked of a publisher.
    return found.frozen < 0.1 && found.concealed < 0.05 && bitrate > 125_000 && bitrate < 250_000;
  };
  // Measured again where it does not hold: encoders and clocks of browsers suffer on a busy machine.
  await until('a picture that moves with whole sound, at what the network carries', measured, {
    withinMs: 90_000,
    seen: () => Promise.resolve(seen),
  });
  await page.hears(440);
}, 240_000);
